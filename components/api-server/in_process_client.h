#pragma once
// ApiClient without a connection, for the components of the same process: authorization, admission, validation and the store
// are those of any request; objects that are read are the watch cache's own.

#include <memory>

#include "api-server/server.h"
#include "client/api_client.h"

namespace rusternetes::api_server {

// Every call is made as `user`. `server` must outlive the client; calls and results are on `executor`.
std::unique_ptr<client::ApiClient> make_in_process_client(ApiServer& server, User user, asio::any_io_executor executor,
                                                          std::string user_agent);

}  // namespace rusternetes::api_server
