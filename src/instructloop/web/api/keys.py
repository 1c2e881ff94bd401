"""Who asks the API: the key in the Authorization header. Cookies are never read here."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from instructloop.store.database.api_keys import ApiKey, key_of
from instructloop.web.refusals import Refusal
from instructloop.web.site import site_of

BEARER = HTTPBearer(auto_error=False, description="An API key from the account page.")


def key_of_request(request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]) -> ApiKey:
    """The key; `Refusal` 401 if there is none that counts, 403 if it may not ask models."""
    key = key_of(site_of(request).store, credentials.credentials) if credentials else None
    if key is None:
        raise Refusal(401, "invalid_api_key")
    if "generate" not in key.scopes:
        raise Refusal(403, "missing_scope", scope="generate")
    return key


Key = Annotated[ApiKey, Depends(key_of_request)]
