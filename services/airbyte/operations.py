"""All operations of Airbyte's public API v1, and whether the mock implements them.

The routes that answer 501 and docs/airbyte-operations.md are generated from this table. Write the page with
`python -m services.airbyte.operations > docs/airbyte-operations.md`.
"""

from dataclasses import dataclass

NOT_DONE = "not done"
CONFIGURATION_API = ("getConfigurationHealth", "getConnectionInfo", "syncConnection", "getJobInfo", "listJobsFor")


@dataclass(frozen=True)
class Operation:
    """`path` is below /api/public/v1; `state` is "done", "partial: how" or "not done"."""

    method: str
    path: str
    name: str
    state: str


TABLE = """
GET / getDocumentation not done
GET /applications listApplications not done
POST /applications createApplication not done
POST /applications/token createAccessToken done
DELETE /applications/{applicationId} deleteApplication not done
GET /applications/{applicationId} getApplication not done
GET /connections listConnections done
POST /connections createConnection partial: mappers and schedules have no effect
DELETE /connections/{connectionId} deleteConnection done
GET /connections/{connectionId} getConnection done
PATCH /connections/{connectionId} patchConnection partial: mappers and schedules have no effect
GET /connector_definitions listConnectorDefinitions not done
GET /dataplanes listDataplanes not done
POST /dataplanes createDataplane not done
DELETE /dataplanes/{dataplaneId} deleteDataplane not done
GET /dataplanes/{dataplaneId} getDataplane not done
PATCH /dataplanes/{dataplaneId} updateDataplane not done
GET /destinations listDestinations done
POST /destinations createDestination partial: destinations of type duckdb (the mock's lake) and snowflake; resourceAllocation has no effect
DELETE /destinations/{destinationId} deleteDestination done
GET /destinations/{destinationId} getDestination done
PATCH /destinations/{destinationId} patchDestination partial: as createDestination
PUT /destinations/{destinationId} putDestination partial: as createDestination
GET /embedded/organizations listEmbeddedOrganizationsByUser not done
POST /embedded/scoped_token generateEmbeddedScopedToken not done
POST /embedded/widget_token getEmbeddedWidget not done
GET /groups listGroups not done
POST /groups createGroup not done
DELETE /groups/{groupId} deleteGroup not done
GET /groups/{groupId} getGroup not done
PATCH /groups/{groupId} updateGroup not done
GET /groups/{groupId}/members listGroupMembers not done
POST /groups/{groupId}/members addGroupMember not done
DELETE /groups/{groupId}/members/{userId} removeGroupMember not done
GET /groups/{groupId}/permissions listGroupPermissions not done
POST /groups/{groupId}/permissions createGroupPermission not done
DELETE /groups/{groupId}/permissions/{permissionId} deleteGroupPermission not done
GET /health getHealthCheck done
GET /jobs listJobs done
POST /jobs createJob done
DELETE /jobs/{jobId} cancelJob done
GET /jobs/{jobId} getJob done
GET /oauth/callback oauthCallback not done
GET /organizations listOrganizationsForUser not done
PUT /organizations/{organizationId}/oauthCredentials createOrUpdateOrganizationOAuthCredentials not done
DELETE /organizations/{organizationId}/oauthCredentials/{actorType}/{name} deleteOrganizationOAuthCredentials not done
GET /permissions listPermissions not done
POST /permissions createPermission not done
DELETE /permissions/{permissionId} deletePermission not done
GET /permissions/{permissionId} getPermission not done
PATCH /permissions/{permissionId} updatePermission not done
GET /regions listRegions not done
POST /regions createRegion not done
DELETE /regions/{regionId} deleteRegion not done
GET /regions/{regionId} getRegion not done
PATCH /regions/{regionId} updateRegion not done
GET /sources listSources done
POST /sources createSource partial: sources of type s3, with the mock's own streams; resourceAllocation and secretId have no effect
POST /sources/initiateOAuth initiateOAuth not done
DELETE /sources/{sourceId} deleteSource done
GET /sources/{sourceId} getSource done
PATCH /sources/{sourceId} patchSource partial: as createSource
PUT /sources/{sourceId} putSource partial: as createSource
GET /streams getStreamProperties done
GET /tags listTags done
POST /tags createTag done
DELETE /tags/{tagId} deleteTag done
GET /tags/{tagId} getTag done
PATCH /tags/{tagId} updateTag done
GET /users listUsersWithinAnOrganization not done
GET /workspaces listWorkspaces done
POST /workspaces createWorkspace partial: organizationId and regionId have no effect
DELETE /workspaces/{workspaceId} deleteWorkspace done
GET /workspaces/{workspaceId} getWorkspace done
PATCH /workspaces/{workspaceId} updateWorkspace partial: regionId has no effect
GET /workspaces/{workspaceId}/definitions/declarative_sources listDeclarativeSourceDefinitions not done
POST /workspaces/{workspaceId}/definitions/declarative_sources createDeclarativeSourceDefinition not done
DELETE /workspaces/{workspaceId}/definitions/declarative_sources/{definitionId} deleteDeclarativeSourceDefinition not done
GET /workspaces/{workspaceId}/definitions/declarative_sources/{definitionId} getDeclarativeSourceDefinition not done
PUT /workspaces/{workspaceId}/definitions/declarative_sources/{definitionId} updateDeclarativeSourceDefinition not done
GET /workspaces/{workspaceId}/definitions/destinations listDestinationDefinitions not done
POST /workspaces/{workspaceId}/definitions/destinations createDestinationDefinition not done
DELETE /workspaces/{workspaceId}/definitions/destinations/{definitionId} deleteDestinationDefinition not done
GET /workspaces/{workspaceId}/definitions/destinations/{definitionId} getDestinationDefinition not done
PUT /workspaces/{workspaceId}/definitions/destinations/{definitionId} updateDestinationDefinition not done
GET /workspaces/{workspaceId}/definitions/sources listSourceDefinitions not done
POST /workspaces/{workspaceId}/definitions/sources createSourceDefinition not done
DELETE /workspaces/{workspaceId}/definitions/sources/{definitionId} deleteSourceDefinition not done
GET /workspaces/{workspaceId}/definitions/sources/{definitionId} getSourceDefinition not done
PUT /workspaces/{workspaceId}/definitions/sources/{definitionId} updateSourceDefinition not done
PUT /workspaces/{workspaceId}/oauthCredentials createOrUpdateWorkspaceOAuthCredentials not done
DELETE /workspaces/{workspaceId}/oauthCredentials/{actorType}/{name} deleteWorkspaceOAuthCredentials not done
"""  # noqa: E501 - one line for each operation
OPERATIONS = [Operation(*line.split(" ", 3)) for line in TABLE.strip().splitlines()]
PAGE = """# Mock Airbyte: API coverage

This page lists all operations of Airbyte's public API v1. It is generated from `services/airbyte/operations.py`. An
operation that is not done answers 501 with a problem body that names it; you can inject faults into it, too.

From the Configuration API, the mock has `health` (for faults: getConfigurationHealth), `connections/get`
(getConnectionInfo), `connections/sync` (syncConnection), `jobs/get` (getJobInfo), `jobs/list` (listJobsFor) and
`jobs/cancel` (cancelJob).

| operation | operationId | in the mock |
| --- | --- | --- |
"""


def page() -> str:
    """Return the content of docs/airbyte-operations.md."""
    return PAGE + "".join(f"| `{o.method} {o.path}` | {o.name} | {o.state} |\n" for o in OPERATIONS)


if __name__ == "__main__":
    print(page(), end="")
