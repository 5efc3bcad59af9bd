"""Who calls an administrators' port: whoever has its one token, or a caller of the file by role.

The port's own token is for machines: the re-evaluator brings it to every server. A person has a
line of her own in the file of callers, and the audit log then says her name.
"""

import grpc

from model.refusal import Refusal
from service.call import Call
from service.callers import Callers, Metadata
from service.errors import Admit
from service.roles import OBSERVE, OPERATE, Caller
from service.tenants import ANONYMOUS
from service.tokens import HEADER, Tokens

OPERATOR = Caller(ANONYMOUS, frozenset({OBSERVE, OPERATE}), "")


class Administrators:
    """Proves who administers."""

    def __init__(self, tokens: Tokens, callers: Callers) -> None:
        """Take the port's own token, and the callers of the file, if there is one."""
        self._tokens, self._callers = tokens, callers

    def admit(self, role: str) -> Admit:
        """Return what stands before a method for a role: it notes who calls, from where."""

        def admit(context: grpc.ServicerContext, call: Call) -> None:
            caller = self._proven(context)
            caller.require(role)
            peer = context.peer()
            call.caller = f"{caller.name} at {peer}" if caller.name else peer

        return admit

    def named(self, token: str, role: str) -> str | None:
        """Return the name of who brings a token and has a role: empty of the port's own; None."""
        if self._tokens.is_token(token):
            return OPERATOR.name
        if not self._callers.has_file:
            return None
        try:
            caller = self._callers.of(((HEADER, f"Bearer {token}"),))
            caller.require(role)
        except Refusal:
            return None
        return caller.name

    def _proven(self, context: grpc.ServicerContext) -> Caller:
        """Return who calls, by the port's token, else by the file; refuse anybody else."""
        metadata: Metadata = context.invocation_metadata()
        given = [value for key, value in metadata if key == HEADER]
        is_own = len(given) == 1 and isinstance(given[0], str) and self._tokens.matches(given[0])
        if is_own:
            return OPERATOR
        if not self._callers.has_file:
            self._tokens.check(metadata)
        return self._callers.proved(context, self._callers.of(metadata))
