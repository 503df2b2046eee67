#include "api-server/authz/service_account_names.h"

#include "api-server/request_context.h"
#include "apimachinery/names.h"

namespace rusternetes::api_server {

std::string service_account_user_name(std::string_view name_space, std::string_view name) {
  std::string out(service_account_user_prefix);
  out += name_space;
  out += ':';
  return out += name;
}

std::optional<std::pair<std::string, std::string>> split_service_account_user_name(std::string_view user) {
  if (!user.starts_with(service_account_user_prefix)) return std::nullopt;
  user.remove_prefix(service_account_user_prefix.size());
  const std::size_t colon = user.find(':');
  if (colon == std::string_view::npos || user.find(':', colon + 1) != std::string_view::npos)
    return std::nullopt;
  const std::string_view name_space = user.substr(0, colon), name = user.substr(colon + 1);
  if (!apimachinery::is_dns1123_label(name_space).empty() ||
      !apimachinery::is_dns1123_subdomain(name).empty())
    return std::nullopt;
  return std::pair(std::string(name_space), std::string(name));
}

std::vector<std::string> service_account_groups(std::string_view name_space) {
  std::string of_namespace(group_service_accounts);
  of_namespace += ':';
  of_namespace += name_space;
  return {std::string(group_service_accounts), std::move(of_namespace)};
}

}  // namespace rusternetes::api_server
