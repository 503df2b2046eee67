#include "api-server/continue_token.h"

#include <fmt/format.h>

#include <charconv>

#include "apimachinery/base64.h"
#include "apimachinery/errors.h"
#include "apimachinery/json.h"
#include "apimachinery/json_text.h"
#include "apimachinery/quote.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

// base64url without padding, as the tokens are sent.
std::string to_url(std::string text) {
  while (!text.empty() && text.back() == '=') text.pop_back();
  for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return text;
}
std::string from_url(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c == '-' ? '+' : c == '_' ? '/' : c;
  while (out.size() % 4) out += '=';
  return out;
}

Status bad_option(std::string_view field, std::string_view reason, std::string_view what) {
  return invalid("meta.k8s.io", "ListOptions", "", {{std::string(reason), std::string(what), std::string(field)}},
                 fmt::format("{}: {}", field, what));
}

}  // namespace

Result<storage::Revision> parse_resource_version(std::string_view text) {
  storage::Revision revision = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), revision);
  if (error != std::errc{} || end != text.data() + text.size() || revision < 0)
    return Status(500, "", fmt::format("resourceVersion: Invalid value: {0}: strconv.ParseUint: parsing {0}: invalid syntax", quote(text)));
  return revision;
}

std::string encode_continue(storage::Revision revision, std::string_view last_key) {
  std::string json = fmt::format("{{\"v\":\"meta.k8s.io/v1\",\"rv\":{},\"start\":", revision);
  std::string start(last_key);
  start += '\0';
  append_json_string(json, start);
  json += '}';
  std::string out;
  base64_append(out, json);
  return to_url(std::move(out));
}

Result<PageRequest> PageRequest::from(const Call& call) {
  const Query& query = call.info.query;
  PageRequest page;
  if (const auto limit = query.get("limit"); !limit.empty()) {
    const auto [end, error] = std::from_chars(limit.data(), limit.data() + limit.size(), page.limit);
    if (error != std::errc{} || end != limit.data() + limit.size())
      return bad_request(fmt::format("strconv.ParseInt: parsing \"{}\": invalid syntax", limit));
    if (page.limit < 0) page.limit = 0;
  }
  const std::string_view version = query.get("resourceVersion"), match = query.get("resourceVersionMatch");
  const std::string_view token = query.get("continue");
  if (query.has("sendInitialEvents"))
    return bad_option("sendInitialEvents", "FieldValueForbidden", "Forbidden: sendInitialEvents is forbidden for list");
  if (version == "0") page.limit = 0;  // whatever a cache has comes whole
  if (!match.empty()) {
    if (!token.empty())
      return bad_option("resourceVersionMatch", "FieldValueForbidden",
                        "Forbidden: resourceVersionMatch is forbidden when continue is provided");
    if (version.empty())
      return bad_option("resourceVersionMatch", "FieldValueForbidden",
                        "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided");
    if (match != "Exact" && match != "NotOlderThan")
      return bad_option("resourceVersionMatch", "FieldValueNotSupported",
                        fmt::format("Unsupported value: \"{}\": supported values: \"Exact\", \"NotOlderThan\", \"\"", match));
    if (match == "Exact" && version == "0")
      return bad_option("resourceVersionMatch", "FieldValueForbidden",
                        "Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
  }
  if (!token.empty()) {
    if (!version.empty() && version != "0")
      return bad_request("specifying resource version is not allowed when using continue");
    Arena arena;
    auto json = base64_decode(from_url(token));
    if (!json) return bad_request(fmt::format("continue key is not valid: {}", json.error().message));
    auto any = decode_json_any(arena, *json);
    if (!any) return bad_request(fmt::format("continue key is not valid: {}", any.error().message));
    const Value *rv = any->lookup("rv"), *start = any->lookup("start"), *v = any->lookup("v");
    if (!v || v->str() != "meta.k8s.io/v1" || !rv || rv->kind != ValueKind::integer)
      return bad_request("continue key is not valid: server does not recognize this encoded version");
    if (!start || start->str().empty()) return bad_request("continue key is not valid: encoded start key empty");
    page.is_continuation = true;
    page.start_key = start->str();
    if (page.start_key.find("..") != std::string::npos || page.start_key.starts_with('/'))
      return bad_request("continue key is not valid: path traversal");
    if (rv->integer > 0) page.exact_revision = rv->integer;
    return page;
  }
  if (version.empty()) return page;
  const auto parsed = parse_resource_version(version);
  if (!parsed) return bad_request("invalid resource version: " + parsed.error().message);
  const storage::Revision revision = *parsed;
  if (match == "Exact" || (match.empty() && page.limit > 0 && revision > 0))
    page.exact_revision = revision;
  else
    page.at_least = revision;
  return page;
}

}  // namespace rusternetes::api_server
