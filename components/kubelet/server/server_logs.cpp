// /containerLogs: a container's log as `kubectl logs` shows it, streamed while it grows.

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "apimachinery/errors.h"
#include "apimachinery/time.h"
#include "base/log.h"
#include "kubelet/server/server.h"

namespace rusternetes::kubelet {

using apimachinery::bad_request;

namespace {

std::optional<std::int64_t> number_of(const std::string& text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size() || out < 0) return {};
  return out;
}

bool is_true(const std::map<std::string, std::string>& query, const std::string& key) {
  auto it = query.find(key);
  return it != query.end() && (it->second == "true" || it->second == "1" || it->second.empty());
}

std::string without_scheme(std::string_view id) {
  const auto at = id.find("://");
  return std::string(at == std::string_view::npos ? id : id.substr(at + 3));
}

}  // namespace

Result<engine::LogOptions> log_options(const std::map<std::string, std::string>& query, SystemTime now) {
  engine::LogOptions out;
  out.follow = is_true(query, "follow");
  out.has_timestamps = is_true(query, "timestamps");
  const auto number = [&](const char* key, std::optional<std::int64_t>& to) -> Result<void> {
    auto it = query.find(key);
    if (it == query.end() || it->second.empty()) return {};
    to = number_of(it->second);
    if (!to) return bad_request(fmt::format("{}: not a number: \"{}\"", key, it->second));
    return {};
  };
  std::optional<std::int64_t> since_seconds;
  RN_CHECK(number("tailLines", out.tail_lines));
  RN_CHECK(number("limitBytes", out.limit_bytes));
  RN_CHECK(number("sinceSeconds", since_seconds));
  if (since_seconds)
    out.since_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count() - *since_seconds * 1'000'000'000;
  if (auto it = query.find("sinceTime"); it != query.end() && !it->second.empty()) {
    RN_TRY(const auto time_us, apimachinery::parse_time(it->second));
    out.since_ns = time_us * 1000;
  }
  if (auto it = query.find("stream"); it != query.end()) {
    if (it->second == "Stdout") out.stream = engine::LogStream::out;
    if (it->second == "Stderr") out.stream = engine::LogStream::err;
  }
  return out;
}

Result<std::string> container_to_log(const core_v1::Pod& pod, std::string_view container, bool previous) {
  const auto name = pod.metadata().name();
  core_v1::ContainerStatus status;
  for (const auto& list : {pod.status().containerStatuses(), pod.status().initContainerStatuses(), pod.status().ephemeralContainerStatuses()})
    for (const auto one : list)
      if (one.name() == container) status = one;
  if (!status) return bad_request(fmt::format("container \"{}\" in pod \"{}\" is not available", container, name));
  const auto last = status.lastState().terminated();
  const auto state = status.state();
  if (previous) {
    if (last.containerID().empty())
      return bad_request(fmt::format("previous terminated container \"{}\" in pod \"{}\" not found", container, name));
    return without_scheme(last.containerID());
  }
  if (state.running()) return without_scheme(status.containerID());
  if (state.terminated() && !state.terminated().containerID().empty()) return without_scheme(state.terminated().containerID());
  if (last && !last.containerID().empty()) return without_scheme(last.containerID());
  if (state.terminated() || last) return bad_request(fmt::format("container \"{}\" in pod \"{}\" is terminated", container, name));
  std::string reason(state.waiting().reason());
  if (reason == "ErrImagePull") reason = "image can't be pulled";
  if (reason == "ImagePullBackOff") reason = "trying and failing to pull image";
  return bad_request(fmt::format("container \"{}\" in pod \"{}\" is waiting to start: {}", container, name, reason));
}

namespace {

// Known to the server while it lives, so that the container's end ends it.
class Follower {
 public:
  Follower(std::multimap<std::string, engine::ContainerLogStream*>& all, const std::string& id, engine::ContainerLogStream* stream)
      : all_(all), at_(all.emplace(id, stream)) {}
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;
  ~Follower() { all_.erase(at_); }

 private:
  std::multimap<std::string, engine::ContainerLogStream*>& all_;
  std::multimap<std::string, engine::ContainerLogStream*>::iterator at_;
};

}  // namespace

Task<> KubeletServer::serve_logs(std::shared_ptr<http::Exchange> exchange, std::string name_space, std::string pod_name,
                                 std::string container, std::map<std::string, std::string> query) {
  auto options = log_options(query, parts_.options.clock->now());
  if (!options) {
    co_await respond(exchange, options.error().code, options.error().message);
    co_return;
  }
  const Document pod = parts_.find_pod(name_space, pod_name);
  if (!pod) {
    co_await respond(exchange, 404, fmt::format("pod \"{}\" does not exist", pod_name));
    co_return;
  }
  bool is_known = false;
  for (const auto& list : {pod_view(pod).spec().containers(), pod_view(pod).spec().initContainers(), ephemeral_containers(pod_view(pod))})
    for (const auto one : list) is_known = is_known || one.name() == container;
  if (!is_known) {
    co_await respond(exchange, 404, fmt::format("container \"{}\" not found in pod \"{}\"", container, pod_name));
    co_return;
  }
  auto id = container_to_log(pod_view(pod), container, is_true(query, "previous"));
  if (!id) {
    co_await respond(exchange, id.error().code, id.error().message);
    co_return;
  }
  auto status = co_await parts_.runtime.container_status(*id);
  if (!status) {
    co_await respond(exchange, status.error().is("NotFound") ? 400 : 500,
                     fmt::format("unable to retrieve container logs for {}: {}", *id, status.error().message));
    co_return;
  }
  const bool is_live = status->state == engine::ContainerState::running;
  if (!is_live) options->follow = false;  // what is there is all
  const std::string path = status->log_path;
  auto open = [path, wanted = *options] { return engine::ContainerLogReader::open(path, wanted); };
  auto reader = co_await parts_.files.run(open);
  if (!reader) {
    co_await respond(exchange, 500, fmt::format("unable to retrieve container logs for {}: {}", *id, reader.error().message));
    co_return;
  }
  engine::ContainerLogStream stream(*std::move(reader), parts_.files);
  Follower follower(followers_, *id, &stream);
  if (options->follow) {
    // It may have ended between the look and the registration.
    auto again = co_await parts_.runtime.container_status(*id);
    if (!again || again->state != engine::ContainerState::running) stream.finish();
  }
  http::ResponseHead head;
  head.headers.set("content-type", "text/plain; charset=utf-8");
  auto begun = co_await exchange->begin(std::move(head));
  while (begun) {
    auto piece = co_await stream.next();
    if (!piece) {
      log::warn("kubelet", "log of {}/{}: {}", name_space, pod_name, piece.error().message);
      break;
    }
    if (piece->empty()) break;
    std::vector<http::Slice> body;
    body.push_back(http::Slice::own(*std::move(piece)));
    auto written = co_await exchange->write(std::move(body));
    if (!written) co_return;  // the reader has gone
  }
  auto finished = co_await exchange->finish();
  if (!finished) log::debug("kubelet", "log of {}/{}: {}", name_space, pod_name, finished.error().message);
}

}  // namespace rusternetes::kubelet
