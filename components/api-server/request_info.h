#pragma once
// What a path and method ask for (k8s.io/apiserver RequestInfo).

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace rusternetes::api_server {

// Query parameters, decoded. Keys may repeat.
class Query {
 public:
  static Query parse(std::string_view text);
  // The first value, or empty.
  std::string_view get(std::string_view key) const;
  bool has(std::string_view key) const { return values_.contains(key); }
  std::vector<std::string_view> all(std::string_view key) const;
  // "true", "1" and an empty value are true; absent, "false" and "0" are not; else an error as Go's ParseBool.
  bool boolean(std::string_view key) const;

 private:
  std::multimap<std::string, std::string, std::less<>> values_;
};

std::string percent_decode(std::string_view text, bool plus_is_space);

struct RequestInfo {
  bool is_resource = false;
  std::string path;  // decoded, without the query
  std::string verb;  // get list watch create update patch delete deletecollection; else the method in lower case
  std::string api_group, api_version, name_space, resource, subresource, name;
  std::vector<std::string> rest;  // segments behind the subresource (proxy paths)
  Query query;
};

void take_name_from_selector(RequestInfo& info);
RequestInfo parse_request(std::string_view method, std::string_view target);

}  // namespace rusternetes::api_server
