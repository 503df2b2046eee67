#pragma once
// Paths and links on their way through a proxy, as text.

#include <string>
#include <string_view>

#include "api-server/request_info.h"

namespace rusternetes::api_server {

// `text` as Go's url.URL writes a path: what may stand there stays, the rest becomes %XX.
std::string escape_path(std::string_view text);
// As url.QueryEscape: letters, digits and "-_.~" stay, a space becomes '+'.
std::string escape_query(std::string_view text);

// What the backend is asked for: what follows "proxy", decoded, without "." and ".." and doubled slashes. Empty when nothing
// follows, not even a slash.
std::string backend_path(const RequestInfo& info);

// The request's path up to "proxy", decoded: what the backend's links need. From what the request means, never from what was
// written: the client does not choose what is put into pages.
std::string proxy_prefix(const RequestInfo& info);

// Both together, escaped, as x-forwarded-uri tells the backend.
std::string forwarded_path(std::string_view prefix, std::string_view path);

// A link that a backend gave, for a client in front of the proxy: `link` without its first `dropped` characters, behind
// `inserted`.
struct LinkChange {
  std::size_t dropped = 0;
  std::string inserted;
  bool is_none() const { return dropped == 0 && inserted.empty(); }
};
class LinkRewriter {
 public:
  // `prefix` is decoded; `backend_host` is what the backend's own links name, `request_host` what the client's request named.
  LinkRewriter(std::string prefix, std::string backend_host, std::string request_host);
  // Links to other hosts, relative ones, and those that have the prefix already, stay.
  LinkChange change(std::string_view link) const;
  std::string rewrite(std::string_view link) const;

 private:
  std::string prefix_;  // escaped
  std::string backend_host_, request_host_;
};

}  // namespace rusternetes::api_server
