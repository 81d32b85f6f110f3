"""What registries say when they don't take a push, and the causes that `specman
push` has to name."""
from .faulty import error

# Those that push_test.py makes happen, there or by WAYS.
CAUSES = {"push-login", "push-unreadable", "push-unfit", "push-no-room",
          "sign-key-bad",
          "no-push-right", "no-push-repository", "registry-full",
          "push-too-large", "tag-immutable"}

_QUOTA = ("adding 1.2 MiB of storage resource, which when updated to current "
          "usage of 9.5 MiB will exceed the configured upper limit of 10.0 MiB.")
_UPLOAD, _MANIFEST = "/blobs/uploads/", "/manifests/"

# (name, cause, method, path, status, body)
WAYS = [
    ("no_right", "no-push-right", "POST", _UPLOAD, 403,
     error("DENIED", "requested access to the resource is denied")),
    ("no_right_at_the_manifest", "no-push-right", "PUT", _MANIFEST, 403,
     error("DENIED", "tag is not yours")),
    ("no_project", "no-push-repository", "POST", _UPLOAD, 404,
     error("NAME_UNKNOWN", "repository name not known to registry")),
    ("quota_of_harbor", "registry-full", "PUT", _MANIFEST, 403,
     error("DENIED", _QUOTA)),
    ("quota_of_harbor_at_the_blob", "registry-full", "PUT", _UPLOAD, 412,
     error("PRECONDITION", _QUOTA)),
    ("quota_of_an_older_harbor", "registry-full", "PUT", _UPLOAD, 413,
     error("DENIED", "Quota exceeded when processing the request of adding "
           "1.2 MiB of storage resource")),
    ("quota_as_an_internal_error", "registry-full", "PUT", _MANIFEST, 500,
     error("UNKNOWN", "quota exceeded")),
    ("full_disk", "registry-full", "PUT", _UPLOAD, 500,
     b'{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{"Op":'
     b'"write","Path":"/var/lib/registry/x","Err":28}}]}'),
    ("insufficient_storage", "registry-full", "PUT", _UPLOAD, 507, b""),
    ("limit_of_a_proxy", "push-too-large", "PUT", _UPLOAD, 413,
     b"<html><head><title>413 Request Entity Too Large</title></head></html>"),
    ("immutable_in_harbor", "tag-immutable", "PUT", _MANIFEST, 412,
     error("PRECONDITION", "Failed to process request due to "
           "'manifest:0.0.0' configured as immutable.")),
    ("immutable_in_ecr", "tag-immutable", "PUT", _MANIFEST, 400,
     error("TAG_INVALID", "The image tag '0.0.0' already exists in the 'x' "
           "repository and cannot be overwritten because the repository is "
           "immutable.")),
    ("immutable_by_ecrs_api", "tag-immutable", "PUT", _MANIFEST, 400,
     b'{"__type":"ImageTagAlreadyExistsException","message":"The image tag '
     b'\'0.0.0\' already exists"}'),
]
