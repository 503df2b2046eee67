#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "engine/connection.h"
#include "engine/dialect.h"
#include "engine/engine.h"
#include "engine/json_lines.h"
#include "engine/json_read.h"
#include "engine/reference.h"

namespace rusternetes::engine {
namespace json = boost::json;
namespace {

// Paths of images keep their slashes and colons.
std::string image_target(const Dialect& dialect, std::string_view reference, std::string_view verb) {
  return dialect.api() + "/images/" + normalize_reference(reference) + std::string(verb);
}

std::vector<std::string> qualified(const std::vector<std::string>& references) {
  std::vector<std::string> out;
  for (const auto& reference : references)
    if (reference.find("<none>") == std::string::npos) out.push_back(normalize_reference(reference));
  return out;
}

std::string base64url(std::string_view in) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (unsigned char c : in) {
    bits = bits << 8 | c;
    for (count += 8; count >= 6; count -= 6) out += kAlphabet[bits >> (count - 6) & 63];
  }
  if (count > 0) out += kAlphabet[bits << (6 - count) & 63];
  while (out.size() % 4) out += '=';
  return out;
}

// Both engines pass on what the registry or the network said; only the text tells which.
Status pull_error(std::string message) {
  auto has = [&message](std::string_view text) { return message.find(text) != std::string::npos; };
  if (has("invalid reference format")) return {400, reason::kInvalidImageName, std::move(message), nullptr};
  if (has("unauthorized") || has("authentication required") || has("denied"))
    return {401, reason::kPullDenied, std::move(message), nullptr};
  if (has("manifest unknown") || has("not found") || has("name unknown") || has("does not exist"))
    return {404, "NotFound", std::move(message), nullptr};
  if (has("connection refused") || has("i/o timeout") || has("no such host") ||
      has("network is unreachable") || has("Client.Timeout") || has("no route to host") ||
      has("server misbehaving") || has("TLS handshake timeout") || has("context deadline exceeded") ||
      has("pinging container registry") || has("unexpected EOF") || has("connection reset"))
    return {503, reason::kRegistryUnavailable, std::move(message), nullptr};
  return {500, "InternalError", std::move(message), nullptr};
}

std::string stream_error(const json::value& line) {
  auto text = json_string(line, "error");
  return text.empty() ? json_string(json_at(line, "errorDetail"), "message") : text;
}

// Reads a stream of JSON values to its end; what `on_line` returns as an error ends it.
Task<> read_stream(std::unique_ptr<http::ClientResponse> response,
                   std::function<void(const json::value&)> on_line, Result<void>* out) {
  JsonLines lines;
  for (;;) {
    auto piece = co_await response->read_some();
    if (!piece) {
      *out = std::move(piece).error();
      co_return;
    }
    if (piece->empty()) co_return;
    if (auto parsed = lines.feed(*piece, on_line); !parsed) {
      *out = std::move(parsed);
      co_return;
    }
  }
}

Task<> open_and_read(Connection* connection, http::ClientRequest request,
                     std::function<void(const json::value&)> on_line, Result<void>* out) {
  auto response = co_await connection->open(std::move(request));
  if (!response) {
    *out = std::move(response).error();
    co_return;
  }
  co_await read_stream(std::move(*response), std::move(on_line), out);
}

ImageSummary read_image(const json::value& item) {
  ImageSummary image;
  image.id = json_string(item, "Id");
  if (!image.id.starts_with("sha256:")) image.id.insert(0, "sha256:");
  image.repo_tags = qualified(json_strings(item, "RepoTags"));
  image.repo_digests = qualified(json_strings(item, "RepoDigests"));
  image.size_bytes = json_int(item, "Size");
  image.labels = json_map(item, "Labels");
  return image;
}

}  // namespace

Task<Result<std::vector<ImageSummary>>> Engine::list_images() {
  auto answer = co_await connection_->call("GET", dialect_->api() + "/images/json");
  if (!answer) co_return std::move(answer).error();
  std::vector<ImageSummary> out;
  if (answer->is_array())
    for (const auto& item : answer->get_array()) out.push_back(read_image(item));
  co_return out;
}

Task<Result<ImageDetails>> Engine::inspect_image(std::string reference) {
  auto answer = co_await connection_->call("GET", image_target(*dialect_, reference, "/json"));
  if (!answer) co_return std::move(answer).error();
  ImageDetails image;
  static_cast<ImageSummary&>(image) = read_image(*answer);
  const auto& config = json_at(*answer, "Config");
  image.labels = json_map(config, "Labels");
  image.user = json_string(config, "User");
  image.entrypoint = json_strings(config, "Entrypoint");
  image.cmd = json_strings(config, "Cmd");
  image.env = json_strings(config, "Env");
  image.working_dir = json_string(config, "WorkingDir");
  image.stop_signal = json_string(config, "StopSignal");
  co_return image;
}

Task<Result<bool>> Engine::has_image(std::string reference) {
  auto image = co_await inspect_image(std::move(reference));
  if (image) co_return true;
  if (image.error().is("NotFound")) co_return false;
  co_return std::move(image).error();
}

Task<Result<std::string>> Engine::pull_image(std::string reference, RegistryAuth auth,
                                             std::chrono::milliseconds timeout,
                                             std::function<void(const PullProgress&)> on_progress) {
  auto parsed = parse_reference(reference);
  if (!parsed) co_return std::move(parsed).error();
  http::ClientRequest request;
  request.method = "POST";
  // Without a tag Docker would pull all of them.
  request.target = dialect_->api() + "/images/create?fromImage=" + url_escape(parsed->repository()) +
                   "&tag=" + url_escape(parsed->digest.empty() ? parsed->tag : parsed->digest);
  if (!auth.empty()) {
    json::object credentials{
        {"username", auth.username},
        {"password", auth.password},
        {"identitytoken", auth.identity_token},
        {"serveraddress", auth.server_address.empty() ? parsed->domain : auth.server_address}};
    request.headers.set("x-registry-auth", base64url(json::serialize(credentials)));
  }
  std::string error;
  auto on_line = [&error, &on_progress](const json::value& line) {
    if (auto text = stream_error(line); !text.empty()) error = text;
    if (!on_progress) return;
    const auto& detail = json_at(line, "progressDetail");
    on_progress({json_string(line, "id"), json_string(line, "status"), json_int(detail, "current"),
                 json_int(detail, "total")});
  };
  Result<void> outcome;
  bool in_time = co_await run_with_deadline(
      open_and_read(connection_.get(), std::move(request), std::move(on_line), &outcome), timeout);
  if (!in_time)
    co_return Status{504, "Timeout",
                     fmt::format("pulling {} took longer than {} s", parsed->str(), timeout.count() / 1000.0),
                     nullptr};
  // Docker answers with a status, Podman with 200 and an error in the stream.
  if (!outcome)
    co_return outcome.error().is(reason::kUnreachable) ? outcome.error()
                                                       : pull_error(outcome.error().message);
  if (!error.empty()) co_return pull_error(std::move(error));
  auto image = co_await inspect_image(parsed->digest.empty() ? parsed->str()
                                                             : parsed->repository() + "@" + parsed->digest);
  if (!image) co_return std::move(image).error();
  co_return image->id;
}

Task<Result<std::vector<std::string>>> Engine::load_images(std::string archive) {
  http::ClientRequest request;
  request.method = "POST";
  request.target = dialect_->api() + "/images/load?quiet=true";
  request.headers.set("content-type", "application/x-tar");
  request.body = std::move(archive);
  std::string error, text;
  auto on_line = [&error, &text](const json::value& line) {
    if (auto message = stream_error(line); !message.empty()) error = message;
    text += json_string(line, "stream");
  };
  Result<void> outcome;
  bool in_time = co_await run_with_deadline(
      open_and_read(connection_.get(), std::move(request), std::move(on_line), &outcome),
      std::chrono::minutes(10));
  if (!in_time)
    co_return Status{504, "Timeout", "the engine did not load the image within 10 minutes", nullptr};
  if (!outcome) co_return std::move(outcome).error();
  if (!error.empty()) co_return Status{400, "Invalid", std::move(error), nullptr};
  // "Loaded image: REF" or "Loaded image ID: sha256:...", a line each; Podman separates several by commas.
  std::vector<std::string> names;
  for (std::size_t at = 0; (at = text.find("Loaded image", at)) != std::string::npos;) {
    auto colon = text.find(": ", at);
    if (colon == std::string::npos) break;
    auto end = std::min(text.find('\n', colon), text.size());
    for (std::size_t begin = colon + 2; begin < end;) {
      auto comma = std::min(text.find(',', begin), end);
      names.push_back(normalize_reference(text.substr(begin, comma - begin)));
      begin = comma + 1;
    }
    at = end;
  }
  co_return names;
}

Task<Result<void>> Engine::tag_image(std::string source, std::string reference) {
  auto parsed = parse_reference(reference);
  if (!parsed) co_return std::move(parsed).error();
  auto target = image_target(*dialect_, source, "/tag?repo=") + url_escape(parsed->repository()) +
                "&tag=" + url_escape(parsed->tag);
  co_return co_await connection_->command("POST", target);
}

Task<Result<void>> Engine::remove_image(std::string reference, bool force) {
  auto answer =
      co_await connection_->command("DELETE", image_target(*dialect_, reference, force ? "?force=true" : ""));
  if (!answer && answer.error().is("NotFound")) co_return Result<void>();
  co_return answer;
}

Task<Result<void>> Engine::stream_events(std::function<void()> on_open,
                                         std::function<void(const EngineEvent&)> on_event) {
  http::ClientRequest request;
  request.target = dialect_->api() + "/events?filters=" + url_escape(R"({"type":["container"]})");
  auto response = co_await connection_->open(std::move(request));
  if (!response) co_return std::move(response).error();
  if (on_open) on_open();
  Result<void> outcome;
  auto on_line = [this, &on_event](const json::value& line) { on_event(dialect_->read_event(line)); };
  co_await read_stream(std::move(*response), on_line, &outcome);
  co_return outcome;
}

}  // namespace rusternetes::engine
