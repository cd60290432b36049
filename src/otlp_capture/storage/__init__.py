"""Where objects lie: a bucket, a directory, or memory, behind one protocol."""

from otlp_capture.storage.errors import AccessDenied as AccessDenied
from otlp_capture.storage.errors import BucketNotFound as BucketNotFound
from otlp_capture.storage.errors import ChecksumMismatch as ChecksumMismatch
from otlp_capture.storage.errors import ConditionsUnsupported as ConditionsUnsupported
from otlp_capture.storage.errors import CredentialsMissing as CredentialsMissing
from otlp_capture.storage.errors import InvalidKey as InvalidKey
from otlp_capture.storage.errors import InvalidStoreUrl as InvalidStoreUrl
from otlp_capture.storage.errors import KeyConflict as KeyConflict
from otlp_capture.storage.errors import ObjectNotFound as ObjectNotFound
from otlp_capture.storage.errors import PreconditionFailed as PreconditionFailed
from otlp_capture.storage.errors import RangeNotSatisfiable as RangeNotSatisfiable
from otlp_capture.storage.errors import SourceUnreadable as SourceUnreadable
from otlp_capture.storage.errors import StorageBusy as StorageBusy
from otlp_capture.storage.errors import StorageError as StorageError
from otlp_capture.storage.errors import StorageFault as StorageFault
from otlp_capture.storage.errors import StorageFull as StorageFull
from otlp_capture.storage.errors import StorageUnreachable as StorageUnreachable
from otlp_capture.storage.errors import StorageUnusable as StorageUnusable
from otlp_capture.storage.keys import key_fault as key_fault
from otlp_capture.storage.keys import prefix_fault as prefix_fault
from otlp_capture.storage.local import local_storage as local_storage
from otlp_capture.storage.local_directories import make_root as make_root
from otlp_capture.storage.local_errors import local_error as local_error
from otlp_capture.storage.memory import memory_storage as memory_storage
from otlp_capture.storage.objects import ByteRange as ByteRange
from otlp_capture.storage.objects import Condition as Condition
from otlp_capture.storage.objects import IfAbsent as IfAbsent
from otlp_capture.storage.objects import IfMatch as IfMatch
from otlp_capture.storage.objects import StoredObject as StoredObject
from otlp_capture.storage.protocol import S3Storage as S3Storage
from otlp_capture.storage.protocol import S3StorageTag as S3StorageTag
from otlp_capture.storage.s3 import S3Config as S3Config
from otlp_capture.storage.s3 import S3Credentials as S3Credentials
from otlp_capture.storage.s3 import s3_storage as s3_storage
from otlp_capture.storage.url import storage_from_url as storage_from_url

__all__ = [
    "AccessDenied",
    "BucketNotFound",
    "ByteRange",
    "ChecksumMismatch",
    "Condition",
    "ConditionsUnsupported",
    "CredentialsMissing",
    "IfAbsent",
    "IfMatch",
    "InvalidKey",
    "InvalidStoreUrl",
    "KeyConflict",
    "ObjectNotFound",
    "PreconditionFailed",
    "RangeNotSatisfiable",
    "S3Config",
    "S3Credentials",
    "S3Storage",
    "S3StorageTag",
    "SourceUnreadable",
    "StorageBusy",
    "StorageError",
    "StorageFault",
    "StorageFull",
    "StorageUnreachable",
    "StorageUnusable",
    "StoredObject",
    "key_fault",
    "local_error",
    "local_storage",
    "make_root",
    "memory_storage",
    "prefix_fault",
    "s3_storage",
    "storage_from_url",
]
