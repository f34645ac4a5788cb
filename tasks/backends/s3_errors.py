"""What an S3 server or botocore says, as our errors, with the cure.

Sources of the codes: Amazon S3 API reference, "Error responses"; MinIO and SeaweedFS use the same ones. A HEAD request
has no body, so its code is the HTTP status as text.
"""

from __future__ import annotations

from typing import Final

from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    SSLError,
    SSOError,
)
from botocore.exceptions import ConnectionError as S3ConnectionError
from urllib3.exceptions import HTTPError

from tasks.errors import BackendError, ConfigError, Denied, FirstbellError, NotFound, StoreUnavailable

_NETWORK: Final = ConnectionError | TimeoutError
_NOT_FOUND: Final = frozenset({"NoSuchKey", "NotFound", "404"})
_TRANSIENT: Final = frozenset(
    {
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "ServiceUnavailable",
        "InternalError",
        "RequestTimeout",
        "RequestTimeoutException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "OperationAborted",
        "ConditionalRequestConflict",
        "IncompleteBody",
    }
)
_FULL: Final = frozenset(
    {"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage"}
)
_CREDENTIALS: Final = "Check the S3 access key and secret key (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, the profile)."
_REACH: Final = "Check that the S3 server runs, and that its address and the network are right."
_REGION: Final = "Set the bucket's own region (s3.region, or AWS_DEFAULT_REGION), and check the endpoint."
#: code -> (class, what it means, cure)
_TABLE: Final[dict[str, tuple[type[FirstbellError], str, str]]] = {
    "NoSuchBucket": (NotFound, "the bucket does not exist", "Check its name; 'firstbell init' creates it."),
    "InvalidAccessKeyId": (Denied, "the server does not know the access key", _CREDENTIALS),
    "SignatureDoesNotMatch": (Denied, "the secret key is wrong", _CREDENTIALS),
    "ExpiredToken": (Denied, "the session token has expired", "Log in again, for instance with 'aws sso login'."),
    "InvalidToken": (Denied, "the session token is wrong", "Log in again, for instance with 'aws sso login'."),
    "AccessDenied": (
        Denied,
        "the account may not do this",
        "Allow it GetObject, PutObject, DeleteObject and ListBucket on this bucket and prefix.",
    ),
    "403": (Denied, "the account may not do this", _CREDENTIALS),
    "401": (Denied, "the server refused the account", _CREDENTIALS),
    "RequestTimeTooSkewed": (
        Denied,
        "this computer's clock differs too much from the server's",
        "Set the clock of this computer (timedatectl set-ntp true).",
    ),
    "PermanentRedirect": (BackendError, "the bucket is in another region", _REGION),
    "AuthorizationHeaderMalformed": (BackendError, "the request is signed for another region", _REGION),
    "IllegalLocationConstraintException": (BackendError, "the bucket is in another region", _REGION),
    "301": (BackendError, "the bucket is in another region", _REGION),
    "InvalidBucketName": (ConfigError, "the server does not allow a bucket of this name", "Choose another name."),
    "BucketAlreadyExists": (BackendError, "another account owns a bucket of this name", "Choose another name."),
    "InvalidObjectState": (
        BackendError,
        "the file is in an archive class that cannot be read at once",
        "Restore it from the archive, and exclude the repository from lifecycle rules that archive.",
    ),
    "XAmzContentSHA256Mismatch": (BackendError, "what arrived is not what was to be stored", ""),
    "BadDigest": (BackendError, "what arrived is not what was to be stored", ""),
}


def error_code(error: BaseException) -> str:
    """Return the S3 error code, or an empty text for an error that is not the server's answer."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def translate(error: Exception, where: str) -> FirstbellError:
    """Return the error to raise for one that botocore raised; ``where`` names location and file."""
    if isinstance(error, ClientError):
        return _translate_answer(error, where)
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return Denied(f"{where}: there is no access key for the S3 server", hint=_CREDENTIALS)
    if isinstance(error, CredentialRetrievalError | SSOError):
        return Denied(f"{where}: the credentials could not be fetched: {error}", hint=_CREDENTIALS)
    if isinstance(error, ProfileNotFound):
        return ConfigError(f"{where}: {error}", hint="Check the name of the profile, and ~/.aws/config.")
    if isinstance(error, ParamValidationError):
        return ConfigError(f"{where}: {error}", hint="Check the location of the repository.")
    if isinstance(error, SSLError):
        return _translate_tls(error, where)
    if isinstance(error, S3ConnectionError | HTTPClientError | IncompleteReadError | HTTPError | _NETWORK):
        return StoreUnavailable(f"{where}: {_describe(error)}", hint=_REACH)
    return BackendError(f"{where}: {error}")


def _describe(error: Exception) -> str:
    """Return what happened to the connection; botocore's own text has the whole request in it."""
    if isinstance(error, EndpointConnectionError):
        return "cannot connect to the S3 server"
    if isinstance(error, ConnectTimeoutError):
        return "the S3 server did not take the connection in time"
    if isinstance(error, ReadTimeoutError):
        return "the S3 server did not answer in time"
    return f"the connection to the S3 server broke off ({type(error).__name__})"


def _translate_tls(error: SSLError, where: str) -> FirstbellError:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return BackendError(
            f"{where}: the certificate of the S3 server is not trusted",
            hint="Give the certificates of its authority as a PEM file (s3.ca_bundle, or AWS_CA_BUNDLE).",
        )
    if "WRONG_VERSION_NUMBER" in str(error):
        return BackendError(
            f"{where}: the S3 server does not speak TLS on this port",
            hint="Write http:// instead of https:// in its address, or give the port for https.",
        )
    return StoreUnavailable(f"{where}: the TLS connection to the S3 server failed", hint=_REACH)


def _translate_answer(error: ClientError, where: str) -> FirstbellError:
    code = error_code(error)
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = str(error.response.get("Error", {}).get("Message", ""))
    if code in _NOT_FOUND:
        return NotFound(f"{where}: no such file")
    if code in _TABLE:
        kind, meaning, hint = _TABLE[code]
        return kind(f"{where}: {meaning} ({code})", hint=hint)
    text = f"{where}: {code}: {said}" if said else f"{where}: {code}"
    if code in _FULL or status == 507:
        return BackendError(text, hint="Free some space, or run 'firstbell forget' to drop old snapshots.")
    if code in _TRANSIENT or status in {408, 429, 500, 502, 503, 504}:
        return StoreUnavailable(text, hint="Check the state of the S3 server, then try again.")
    if status in {401, 403}:
        return Denied(text, hint=_CREDENTIALS)
    return BackendError(text)
