#pragma once
// Requests to a cluster's api-server with a certificate of its pki folder.

#include <boost/json/fwd.hpp>
#include <string>

#include "launcher/ports/http_port.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher {

// As the owner of a leaf, such as "admin". `path` begins with a slash.
Result<HttpRequest> request_as(const StepContext& context, const char* leaf, std::string path);

// What an answer holds there (RFC 6901); empty for what is no text.
std::string text_at(const boost::json::value& value, const char* pointer);

}  // namespace rusternetes::launcher
