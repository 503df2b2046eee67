#pragma once
// --token-auth-file: static bearer tokens, a CSV record each: token,user,uid[,"group1,group2"].

#include <string>
#include <string_view>
#include <unordered_map>

#include "api-server/request_context.h"
#include "base/status.h"

namespace rusternetes::api_server {

class TokenFile {
 public:
  // `name` is the file's, for errors. Quoting is RFC 4180's; `#` starts no comment; blank lines are skipped.
  // An error says which record is not right.
  static Result<TokenFile> parse(std::string_view text, std::string_view name);
  static Result<TokenFile> load(const std::string& path);

  // Null for a token that is not in the file.
  const User* find(std::string_view token) const;
  std::size_t size() const { return users_.size(); }

 private:
  // By SHA-256 of the token: a lookup's time tells nothing of how much of a token was right, and the tokens
  // themselves are not kept.
  std::unordered_map<std::string, User> users_;
};

}  // namespace rusternetes::api_server
