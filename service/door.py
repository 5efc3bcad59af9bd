"""What a call of the predictions' port passes before its handler: who calls, may they, have they.

`Front` asks `of` at arrival and gives the caller to `enter` in the thread that answers; without a
front, `admit` does both.
"""

from collections.abc import Callable

import grpc

from service.access import Access
from service.call import Call
from service.callers import Caller, Metadata
from service.errors import Admit
from service.roles import OBSERVE, OPERATE, PREDICT

DESCRIBES = (PREDICT, OBSERVE)
ROLES = {
    "GetModel": DESCRIBES,
    "ListModels": DESCRIBES,
    "ServerMetadata": DESCRIBES,
    "ModelMetadata": DESCRIBES,
    "RepositoryIndex": DESCRIBES,
    "RepositoryModelLoad": (OPERATE,),
    "RepositoryModelUnload": (OPERATE,),
}
"""Who may call a method, where it is not only who predicts: one of the roles is enough."""
OPEN = ("ServerLive", "ServerReady", "ModelReady")  # as open as grpc.health.v1
Enter = Callable[[grpc.ServicerContext, Call, Caller], None]


class Door:
    """Lets calls in: proven callers with the role that a method asks for, within their quota."""

    def __init__(self, access: Access, is_asked: bool = False) -> None:
        """Take who may call and what they may use; `is_asked`: somebody wants to know tenants."""
        self.access = access
        self._callers, quotas = access.callers, access.quotas
        self._quotas = quotas if quotas.is_on else None
        self._is_open = not (self._callers.proves or quotas.is_on or is_asked)

    def of(self, metadata: Metadata) -> Caller:
        """Return who calls, at arrival (`Callers.of`)."""
        return self._callers.of(metadata)

    def is_open_to_all(self, method: str) -> bool:
        """Whether nothing is asked of who calls a method: `of` need not be, nor `enter`."""
        wants_predict = PREDICT in ROLES.get(method, (PREDICT,))
        return method in OPEN or (self._is_open and wants_predict)

    def enter(self, method: str) -> Enter:
        """Return what lets a caller into a method, for the thread that answers.

        Notes on the call its tenant and what it pays from. Refuses `PERMISSION_DENIED`,
        `UNAUTHENTICATED` and `QUOTA_EXCEEDED`.
        """
        wanted = ROLES.get(method, (PREDICT,))

        def let_in(context: grpc.ServicerContext, call: Call, caller: Caller) -> None:
            caller = self._callers.proved(context, caller)
            caller.require(*wanted)
            call.caller = caller.tenant
            if self._quotas is not None:
                call.purse = self._quotas.purse(caller)
                call.purse.take_call()

        return let_in

    def admit(self, method: str) -> Admit | None:
        """Return what stands before a handler (`service.errors.answered`); None: nothing does."""
        if self.is_open_to_all(method):
            return None
        let_in = self.enter(method)

        def admit(context: grpc.ServicerContext, call: Call) -> None:
            let_in(context, call, self.of(context.invocation_metadata()))

        return admit
