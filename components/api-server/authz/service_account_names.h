#pragma once
// The user and groups that a service account is.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rusternetes::api_server {

inline constexpr std::string_view service_account_user_prefix = "system:serviceaccount:";

// "system:serviceaccount:NAMESPACE:NAME"
std::string service_account_user_name(std::string_view name_space, std::string_view name);
// {namespace, name}; nothing unless both are valid names.
std::optional<std::pair<std::string, std::string>> split_service_account_user_name(std::string_view user);
// "system:serviceaccounts" and "system:serviceaccounts:NAMESPACE"
std::vector<std::string> service_account_groups(std::string_view name_space);

}  // namespace rusternetes::api_server
