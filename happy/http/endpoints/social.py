"""Other people: find them, and be friends with them (protocol: http#users-friends-feed)."""

from typing import Annotated

from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from happy.domain.people import UserProfile
from happy.domain.values import AccountId
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import Failure
from happy.http.framework.requests import ApiRequest
from happy.services.social import TOO_MANY, TOO_MANY_FRIENDS, SocialService


class Found(Struct):
    users: list[UserProfile]


class OneUser(Struct):
    user: UserProfile


class Target(Struct):
    uid: AccountId


class Moved(Struct):
    """The other account after the change of the friendship; null when no account has that id."""

    user: UserProfile | None


class Friends(Struct):
    friends: list[UserProfile]


class SocialEndpoints:
    def __init__(self, social: SocialService) -> None:
        self._social = social

    def endpoints(self) -> list[Endpoint]:
        often = {429: Failure(TOO_MANY_FRIENDS)}
        return [
            Endpoint("GET", "/v1/user/search", self.search, other_responses={429: Failure(TOO_MANY)}),
            Endpoint("GET", "/v1/user/{user_id:str}", self.profile, missing="User not found"),
            Endpoint("POST", "/v1/friends/add", self.add, other_responses=often),
            Endpoint("POST", "/v1/friends/remove", self.remove, other_responses=often),
            Endpoint("GET", "/v1/friends", self.friends),
        ]

    async def search(
        self, request: ApiRequest, prefix: Annotated[str, QueryParameter(name="query")]
    ) -> Found:
        """Up to ten accounts whose username begins with a text."""
        return Found(await self._social.search(request.account_id, prefix))

    async def profile(self, request: ApiRequest, user_id: FromPath[AccountId]) -> OneUser:
        """The public profile of an account."""
        return OneUser(await self._social.profile(request.account_id, user_id))

    async def add(self, request: ApiRequest, data: JSONBody[Target]) -> Moved:
        """Request somebody's friendship, or accept their request."""
        return Moved(await self._social.add(request.account_id, data.uid))

    async def remove(self, request: ApiRequest, data: JSONBody[Target]) -> Moved:
        """End a friendship, or withdraw or refuse a request."""
        return Moved(await self._social.remove(request.account_id, data.uid))

    async def friends(self, request: ApiRequest) -> Friends:
        """Friends, and those who have requested friendship or were requested."""
        return Friends(await self._social.friends(request.account_id))
