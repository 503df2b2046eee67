#pragma once
// Two byte streams into one: what comes out of either goes into the other, unread.

#include <chrono>
#include <memory>
#include <string>

#include "base/task.h"
#include "http/message.h"

namespace rusternetes::api_server {

// Returns when both directions have ended. The end of one half is passed on, and the other direction goes on while bytes come,
// until nothing has come for `half_open_limit`; a failure of either side ends both. Holds at most a piece in each direction
// beside what the streams buffer. `already_read` came from the backend and goes to the client first.
Task<> splice(std::unique_ptr<http::ByteStream> client, std::unique_ptr<http::ByteStream> backend, std::string already_read,
              std::chrono::milliseconds half_open_limit);

}  // namespace rusternetes::api_server
