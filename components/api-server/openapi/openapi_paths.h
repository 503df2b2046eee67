#pragma once

namespace rusternetes::api_server {

class ApiServer;

// Serves /openapi/v2, /openapi/v3 and a document for each group version of the registry at this moment.
void add_openapi_paths(ApiServer& server);

}  // namespace rusternetes::api_server
