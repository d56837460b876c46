"""The style sheet of the documentation page, which is imported before the page is made."""

STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #888; --code: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { font-weight: 600; } h2 { margin: 2rem 0 .2rem; } p { margin: .3rem 0 .8rem; }
details { border-top: 1px solid var(--line); padding: .35rem 0; } summary { cursor: pointer; }
details details { border: 0; padding: 0; } nav a { margin-right: .8rem; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { background: var(--code); padding: .6rem; overflow: auto; }
b.method { display: inline-block; width: 4.5rem; } .dim { color: var(--dim); }
table { border-collapse: collapse; } td { padding: .15rem 1rem .15rem 0; vertical-align: top; }
"""
