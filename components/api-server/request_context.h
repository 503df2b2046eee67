#pragma once
// What a request is and who makes it: filled step by step along the pipeline, and carried to its end.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apimachinery/schema.h"
#include "base/clock.h"

namespace rusternetes::api_server {

// authentication.k8s.io UserInfo.
struct User {
  std::string name;
  std::string uid;
  std::vector<std::string> groups;
  std::map<std::string, std::vector<std::string>> extra;
  bool is_in(std::string_view group) const;
};

inline constexpr std::string_view group_masters = "system:masters";
inline constexpr std::string_view group_authenticated = "system:authenticated";
inline constexpr std::string_view group_unauthenticated = "system:unauthenticated";
inline constexpr std::string_view group_nodes = "system:nodes";
inline constexpr std::string_view group_service_accounts = "system:serviceaccounts";
inline constexpr std::string_view user_anonymous = "system:anonymous";

// What an authorizer decides upon (k8s.io/apiserver authorizer.Attributes).
struct Attributes {
  User user;
  std::string verb;  // get list watch create update patch delete deletecollection, or the HTTP method in lower case
  bool is_resource = false;
  std::string api_group, api_version, resource, subresource, name_space, name;
  std::string path;            // of a request that is for no resource
  std::string field_selector, label_selector;  // as sent; the Node authorizer looks at them
};

// Warnings go back as `Warning: 299 - "text"` headers.
struct Warnings {
  std::vector<std::string> texts;
  void add(std::string text) { texts.push_back(std::move(text)); }
};

}  // namespace rusternetes::api_server
