"""Every failure a caller may see: one tree, each class a stable code. Imports nothing of the project.

CellblockError
├── InvalidRequest            invalid_request        422   the request does not fit; `fields` says where
├── InvalidPath               invalid_path           400   a path that leaves the workspace
├── Unauthorized              unauthorized           401   no token, or a wrong one
├── Forbidden                 forbidden              403   a Host or an Origin that is not ours
├── NotFound                  not_found              404
│   ├── KernelNotFound        kernel_not_found
│   ├── ExecutionNotFound     execution_not_found
│   ├── CellNotFound          cell_not_found
│   ├── FileNotFound          file_not_found
│   ├── VariableNotFound      variable_not_found
│   ├── OutputNotFound        output_not_found
│   ├── ConversationNotFound  conversation_not_found
│   ├── AnswerNotFound        answer_not_found
│   ├── ShareNotFound         share_not_found              unknown, malformed or revoked: nobody is told which
│   └── EnvironmentNotFound   environment_not_found
├── MethodNotAllowed          method_not_allowed     405
├── Conflict                  conflict               409
│   ├── StaleRevision         stale_revision               `current` is the notebook as it is now
│   ├── NotARegularFile       not_a_regular_file
│   ├── RunActive             run_active                   the conversation is being answered
│   ├── NotWaitingForInput    not_waiting_for_input
│   ├── KernelBusy            kernel_busy                  undo, redo and branch need a kernel in which nothing runs
│   ├── NoState               no_state                     the state to go to is not kept, or never was
│   └── IdempotencyConflict   idempotency_conflict
├── TooLarge                  too_large              413
│   ├── CodeTooLarge          code_too_large
│   ├── UploadTooLarge        upload_too_large
│   └── WorkspaceFull         workspace_full
├── RangeNotSatisfiable       range_not_satisfiable  416
├── TooMany                   too_many               429   `retry_after` seconds
│   ├── QueueFull             queue_full
│   ├── KernelLimit           kernel_limit
│   ├── BranchLimit           branch_limit                 a sandbox has room for a few branches only
│   └── ShareLimit            share_limit
├── Unavailable               unavailable            503   `retry_after` seconds
│   ├── NoMemory              no_memory                    this machine may not take another kernel
│   ├── HostExhausted         host_exhausted               its disk or its descriptors are used up
│   ├── StoreUnavailable      store_unavailable            the database cannot be read or written now
│   ├── KernelStartFailed     kernel_start_failed          names the step that failed
│   ├── ServersUnavailable    servers_unavailable          no Jupyter server takes another kernel
│   ├── SandboxUnavailable    sandbox_unavailable          the level asked for cannot be had
│   ├── ModelUnavailable      model_unavailable            a key is missing or refused
│   └── DataDirectoryInUse    data_directory_in_use        a second server on one data directory
├── ModelFailed               model_failed           502   a language model could not finish its answer
├── KernelFault               kernel_fault           502   what a kernel did to its own connection
│   ├── ProtocolError         protocol_error               it sent what no honest kernel sends
│   ├── KernelDied            kernel_died                  its end of the connection is closed
│   └── KernelTimeout         kernel_timeout         504   no answer in time; it may be busy
├── ConfigurationError        configuration_error    500   a setting that cannot be used
└── InternalError             internal_error         500
"""

from collections.abc import Mapping, Sequence


class CellblockError(Exception):
    """A failure with a stable `code`, an HTTP `status`, a `message` and a `hint` on what to do about it."""

    code = "error"
    status = 500
    default_hint = ""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        fields: Sequence[Mapping[str, str]] = (),
        retry_after: float | None = None,
        current: object = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint
        self.fields = [dict(field) for field in fields]
        self.retry_after = retry_after
        self.current = current

    def as_dict(self) -> dict[str, object]:
        """The one JSON shape of an error: {code, message, hint, fields: [{path, message}]}."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "fields": self.fields}


class InvalidRequest(CellblockError):
    code = "invalid_request"
    status = 422
    default_hint = "See `fields` for what does not fit."


class InvalidPath(CellblockError):
    code = "invalid_path"
    status = 400
    default_hint = "Use a relative path inside the workspace."


class Unauthorized(CellblockError):
    code = "unauthorized"
    status = 401
    default_hint = "Send `Authorization: Bearer TOKEN`; the token is printed when the server starts."


class Forbidden(CellblockError):
    code = "forbidden"
    status = 403
    default_hint = "Call the server by the address it listens on, from its own page."


class NotFound(CellblockError):
    code = "not_found"
    status = 404


class KernelNotFound(NotFound):
    code = "kernel_not_found"
    default_hint = "Create one with POST /api/jupyter/kernel."


class ExecutionNotFound(NotFound):
    code = "execution_not_found"
    default_hint = "One-shot results are kept for 7 days; others as long as their session."


class CellNotFound(NotFound):
    code = "cell_not_found"
    default_hint = "GET …/notebook lists the cells."


class FileNotFound(NotFound):
    code = "file_not_found"
    default_hint = "GET …/files lists the files."


class VariableNotFound(NotFound):
    code = "variable_not_found"
    default_hint = "GET …/variables lists the variables."


class OutputNotFound(NotFound):
    code = "output_not_found"
    default_hint = "Run the cell again."


class ConversationNotFound(NotFound):
    code = "conversation_not_found"
    default_hint = "A conversation begins with POST /api/jupyter/kernel; its id is the kernel's."


class AnswerNotFound(NotFound):
    code = "answer_not_found"
    default_hint = "GET /api/chat/{id} names the answers of each question."


class ShareNotFound(NotFound):
    code = "share_not_found"
    default_hint = "The link may be incomplete, or whoever shared it has revoked it."


class EnvironmentNotFound(NotFound):
    code = "environment_not_found"
    default_hint = "GET /api/status lists the environments."


class MethodNotAllowed(CellblockError):
    code = "method_not_allowed"
    status = 405


class Conflict(CellblockError):
    code = "conflict"
    status = 409


class StaleRevision(Conflict):
    code = "stale_revision"
    default_hint = "Someone else has edited the notebook; take the current one and try again."


class NotARegularFile(Conflict):
    code = "not_a_regular_file"
    default_hint = "Only regular files and directories of the workspace can be used."


class RunActive(Conflict):
    code = "run_active"
    default_hint = "Wait for the answer, or stop it with POST …/stop."


class NotWaitingForInput(Conflict):
    code = "not_waiting_for_input"


class KernelBusy(Conflict):
    code = "kernel_busy"
    default_hint = "Wait until it has ended, or interrupt it."


class NoState(Conflict):
    code = "no_state"
    default_hint = "GET …/snapshots lists the states there are."


class IdempotencyConflict(Conflict):
    code = "idempotency_conflict"
    default_hint = "Use a new Idempotency-Key for a different request."


class TooLarge(CellblockError):
    code = "too_large"
    status = 413


class CodeTooLarge(TooLarge):
    code = "code_too_large"
    default_hint = "Put data into a file instead of the code."


class UploadTooLarge(TooLarge):
    code = "upload_too_large"


class WorkspaceFull(TooLarge):
    code = "workspace_full"
    default_hint = "Delete files of the workspace."


class RangeNotSatisfiable(CellblockError):
    code = "range_not_satisfiable"
    status = 416


class TooMany(CellblockError):
    code = "too_many"
    status = 429


class QueueFull(TooMany):
    code = "queue_full"
    default_hint = "Wait until executions of this kernel have ended."


class KernelLimit(TooMany):
    code = "kernel_limit"
    default_hint = "Release or delete kernels that are not needed."


class BranchLimit(TooMany):
    code = "branch_limit"
    default_hint = "Restart, release or delete a branch that lives in the same sandbox."


class ShareLimit(TooMany):
    code = "share_limit"
    default_hint = "Revoke links that are not needed."


class Unavailable(CellblockError):
    code = "unavailable"
    status = 503


class NoMemory(Unavailable):
    code = "no_memory"
    default_hint = "Release kernels, or try again later."


class HostExhausted(Unavailable):
    code = "host_exhausted"
    default_hint = "Free the server's disk, or raise its limit of open files; then try again."


class StoreUnavailable(Unavailable):
    code = "store_unavailable"
    default_hint = "Try again; if it stays so, look at `store` in GET /api/status and at the server's disk."


class KernelStartFailed(Unavailable):
    code = "kernel_start_failed"
    default_hint = "Run `cellblock check` on the server."


class ServersUnavailable(Unavailable):
    code = "servers_unavailable"
    default_hint = "Try again; if it stays so, look at `remote` in GET /api/status and at the Jupyter servers."


class SandboxUnavailable(Unavailable):
    code = "sandbox_unavailable"
    default_hint = (
        "Run `cellblock check` on the server: it says which layer is missing and how to get it. "
        "Or set JUPYTER_KERNEL_GATEWAY_URL, and kernels come from a Jupyter server."
    )


class ModelUnavailable(Unavailable):
    code = "model_unavailable"
    default_hint = "Set the provider's API key, or choose the built-in analyst."


class ModelFailed(CellblockError):
    code = "model_failed"
    status = 502
    default_hint = "Try again, or choose another model."


class DataDirectoryInUse(Unavailable):
    code = "data_directory_in_use"
    default_hint = "Stop the other server, or set CELLBLOCK_DATA_DIR."


class KernelFault(CellblockError):
    code = "kernel_fault"
    status = 502
    default_hint = "Restart the kernel; notebook and files stay."


class ProtocolError(KernelFault):
    code = "protocol_error"


class KernelDied(KernelFault):
    code = "kernel_died"


class KernelTimeout(KernelFault):
    code = "kernel_timeout"
    status = 504
    default_hint = "Wait until the running cell has ended, or interrupt it."


class ConfigurationError(CellblockError):
    code = "configuration_error"


class InternalError(CellblockError):
    code = "internal_error"
    default_hint = "The server's log has the details under this request's id."
