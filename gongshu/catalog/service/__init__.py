"""What the catalog offers to the rooms above and to its entry points."""

from gongshu.catalog.service.ingestion import ingest, ingest_uploads
from gongshu.catalog.service.reading import (
    get_resource,
    get_version,
    list_quarantine,
    list_resources,
    list_versions,
    propose_policy,
    resource_in,
    version_files,
    version_in,
)
from gongshu.catalog.service.writing import confirm_classification, create_resource, set_uses

__all__ = [
    "confirm_classification",
    "create_resource",
    "get_resource",
    "get_version",
    "ingest",
    "ingest_uploads",
    "list_quarantine",
    "list_resources",
    "list_versions",
    "propose_policy",
    "resource_in",
    "set_uses",
    "version_files",
    "version_in",
]
