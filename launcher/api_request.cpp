#include "launcher/api_request.h"

#include <boost/json/value.hpp>

#include "certs/file.h"
#include "certs/pki.h"

namespace rusternetes::launcher {

Result<HttpRequest> request_as(const StepContext& context, const char* leaf, std::string path) {
  HttpRequest request{.url = context.settings.server() + std::move(path)};
  RN_TRY(certs::KeyPair pair, certs::read_pair(context.paths.pki(), leaf));
  request.certificate_pem = std::move(pair.certificate_pem);
  request.key_pem = std::move(pair.key_pem);
  RN_TRY(request.authority_pem, certs::read_text(context.paths.pki() / "ca.crt"));
  return request;
}

std::string text_at(const boost::json::value& value, const char* pointer) {
  boost::system::error_code error;
  const boost::json::value* found = value.find_pointer(pointer, error);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

}  // namespace rusternetes::launcher
