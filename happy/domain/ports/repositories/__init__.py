"""One protocol per noun for rows in the database; `Transaction` in `ports.store` lists them."""
