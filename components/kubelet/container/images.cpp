#include "kubelet/container/images.h"

#include <fmt/format.h>

#include "apimachinery/base64.h"
#include "apimachinery/json.h"
#include "base/log.h"
#include "engine/reference.h"

namespace rusternetes::kubelet {

using apimachinery::Value;

namespace {

constexpr auto kErrorShown = std::chrono::seconds(3);

std::string_view text_of(const Value* object, std::string_view key) {
  const Value* value = object && object->kind == apimachinery::ValueKind::map ? object->lookup(key) : nullptr;
  return value ? value->str() : std::string_view{};
}

// "https://index.docker.io/v1/" names the same registry as "docker.io".
std::string registry_host(std::string_view key) {
  if (auto scheme = key.find("://"); scheme != std::string_view::npos) key.remove_prefix(scheme + 3);
  key = key.substr(0, key.find('/'));
  return key == "index.docker.io" ? "docker.io" : std::string(key);
}

}  // namespace

engine::RegistryAuth registry_auth(std::string_view secret_type, std::string_view json, std::string_view domain) {
  apimachinery::Arena arena;
  auto root = apimachinery::decode_json_any(arena, json);
  if (!root || root->kind != apimachinery::ValueKind::map) return {};
  const Value* auths = secret_type == "kubernetes.io/dockercfg" ? &*root : root->lookup("auths");
  if (!auths || auths->kind != apimachinery::ValueKind::map) return {};
  for (std::uint32_t i = 0; i < auths->size; ++i) {
    if (registry_host(auths->items[2 * i].str()) != domain) continue;
    const Value* entry = &auths->items[2 * i + 1];
    engine::RegistryAuth out;
    out.server_address = domain;
    out.username = text_of(entry, "username");
    out.password = text_of(entry, "password");
    out.identity_token = text_of(entry, "identitytoken");
    if (auto both = apimachinery::base64_decode(text_of(entry, "auth")); both && !both->empty()) {
      const auto colon = both->find(':');
      out.username = both->substr(0, colon);
      if (colon != std::string::npos) out.password = both->substr(colon + 1);
    }
    return out;
  }
  return {};
}

Images::Images(engine::Runtime& runtime, Objects& objects, client::EventRecorder& events, TaskGroup& tasks, const Clock& clock)
    : runtime_(runtime), objects_(objects), events_(events), tasks_(tasks), clock_(clock) {}

ImageAnswer Images::failed(const Document& pod, const std::string& where, std::string reason, std::string message,
                           std::string_view event) {
  if (!event.empty()) events_.warning(pod, "v1", "Pod", std::string(event), message, where);
  ImageAnswer out;
  out.failure = {std::move(reason), std::move(message)};
  return out;
}

Task<ImageAnswer> Images::found(std::string reference) {
  ImageAnswer out;
  auto image = co_await runtime_.image_status(reference);
  if (image) {
    out.kind = ImageAnswer::Kind::present;
    out.image = *std::move(image);
  } else if (!image.error().is("NotFound")) {
    out.failure = {"ImageInspectError", fmt::format("Failed to inspect image \"{}\": {}", reference, image.error().message)};
  }
  co_return out;
}

Task<ImageAnswer> Images::ensure(Document pod, ContainerRef ref, std::function<void()> wake) {
  const auto view = pod_view(pod);
  const auto container = container_of(view, ref);
  const std::string reference(container.image());
  const std::string where = field_path(view, ref);
  const std::string key = fmt::format("{}_{}", view.metadata().uid(), reference);
  if (!engine::is_image_id(reference)) {
    auto parsed = engine::parse_reference(reference);
    if (!parsed)
      co_return failed(pod, where, "InvalidImageName",
                       fmt::format("Failed to apply default image tag \"{0}\": couldn't parse image name \"{0}\": {1}", reference,
                                   parsed.error().message), "InspectFailed");
  }
  Want& want = wants_[key];
  if (want.is_pulling) {
    want.wake = std::move(wake);
    ImageAnswer out;
    out.kind = ImageAnswer::Kind::pulling;
    co_return out;
  }
  const auto policy = container.imagePullPolicy();
  if (policy != "Always" || want.is_pulled) {
    auto here = co_await found(reference);
    if (here.kind == ImageAnswer::Kind::present) {
      if (!wants_[key].is_pulled)
        events_.normal(pod, "v1", "Pod", "Pulled",
                       fmt::format("Container image \"{}\" already present on machine and can be accessed by the pod", reference), where);
      wants_.erase(key);
      co_return here;
    }
    if (!here.failure.reason.empty()) co_return failed(pod, where, here.failure.reason, here.failure.message, "InspectFailed");
    if (policy == "Never")
      co_return failed(pod, where, "ErrImageNeverPull",
                       fmt::format("Container image \"{}\" is not present with pull policy of Never", reference), "ErrImageNeverPull");
  }
  if (back_off_.is_waiting_since_update(key, clock_.now())) {
    Want& waiting = wants_[key];
    ImageAnswer out;
    // The failure itself is shown for a while, whoever asks meanwhile, then the back-off.
    if (std::exchange(waiting.has_news, false)) waiting.shown_until = clock_.now() + kErrorShown;
    if (clock_.now() < waiting.shown_until) {
      out.failure = waiting.failure;
      out.ask_again = waiting.shown_until;
      co_return out;
    }
    out.ask_again = back_off_.update_wait_end(key);
    std::string message = fmt::format("Back-off pulling image \"{}\"", reference);
    if (!waiting.told_back_off) events_.normal(pod, "v1", "Pod", "BackOff", message, where);
    waiting.told_back_off = true;
    if (!waiting.failure.reason.empty()) message += fmt::format(": {}: {}", waiting.failure.reason, waiting.failure.message);
    out.failure = {"ImagePullBackOff", std::move(message)};
    co_return out;
  }
  auto auth = co_await credentials(pod, reference);
  if (!auth)  // not a word from the registry: asked again soon, without a back-off
    co_return failed(pod, where, "ErrImagePull",
                     fmt::format("Failed to pull image \"{}\": image pull secrets cannot be read: {}", reference, auth.error().message), "Failed");
  Want& pulling = wants_[key];
  pulling.is_pulling = true;
  pulling.is_pulled = pulling.told_back_off = pulling.has_news = false;
  pulling.failure = {};
  pulling.wake = std::move(wake);
  events_.normal(pod, "v1", "Pod", "Pulling", fmt::format("Pulling image \"{}\"", reference), where);
  const std::string flight = fmt::format("{} {} {}", reference, auth->username, std::hash<std::string>{}(auth->password + auth->identity_token));
  auto& shared = flights_[flight];
  shared.wants.push_back(key);
  if (shared.wants.size() == 1) tasks_.spawn("image pull", pull(flight, reference, *std::move(auth), pod, where));
  ImageAnswer out;
  out.kind = ImageAnswer::Kind::pulling;
  co_return out;
}

Task<Result<engine::RegistryAuth>> Images::credentials(Document pod, std::string reference) {
  const auto view = pod_view(pod);
  std::vector<ObjectReference> references;
  for (const auto secret : view.spec().imagePullSecrets())
    if (!secret.name().empty()) references.push_back({ObjectKind::secret, std::string(secret.name()), true});
  auto parsed = engine::parse_reference(reference);
  if (references.empty() || !parsed) co_return engine::RegistryAuth{};
  auto secrets = co_await objects_.load(std::string(view.metadata().namespace_()), references);
  if (!secrets) co_return secrets.error();
  std::vector<std::string> missing;
  for (const auto& one : references)
    if (!secrets->find(ObjectKind::secret, one.name)) missing.push_back(one.name);
  if (!missing.empty())
    events_.warning(pod, "v1", "Pod", "FailedToRetrieveImagePullSecret",
                    fmt::format("Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
                                fmt::join(missing, ", ")));
  for (const auto& one : references) {
    const auto* object = secrets->find(ObjectKind::secret, one.name);
    if (!object) continue;
    const core_v1::Secret secret(&object->root());
    const auto key = secret.type() == "kubernetes.io/dockercfg" ? ".dockercfg" : ".dockerconfigjson";
    auto auth = registry_auth(secret.type(), secret.data().get(key), parsed->domain);
    if (!auth.empty()) co_return auth;
  }
  co_return engine::RegistryAuth{};
}

Task<> Images::pull(std::string flight, std::string reference, engine::RegistryAuth auth, Document pod, std::string where) {
  const auto began = clock_.steady_now();
  auto pulled = co_await runtime_.pull_image(reference, std::move(auth));
  if (pulled) {
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.steady_now() - began).count();
    auto image = co_await runtime_.image_status(reference);
    events_.normal(pod, "v1", "Pod", "Pulled",
                   fmt::format("Successfully pulled image \"{0}\" in {1}ms ({1}ms including waiting). Image size: {2} bytes.",
                               reference, took, image ? image->size_bytes : 0), where);
  } else {
    events_.warning(pod, "v1", "Pod", "Failed", fmt::format("Failed to pull image \"{}\": {}", reference, pulled.error().message), where);
  }
  finish(flight, pulled);
}

void Images::finish(const std::string& flight, const Result<std::string>& pulled) {
  auto node = flights_.extract(flight);
  if (!node) return;
  for (const auto& key : node.mapped().wants) {
    auto it = wants_.find(key);
    if (it == wants_.end()) continue;  // its Pod is gone
    Want& want = it->second;
    want.is_pulling = false;
    want.is_pulled = static_cast<bool>(pulled);
    if (pulled) {
      back_off_.forget(key);
    } else {
      back_off_.next(key, clock_.now());
      want.failure = {"ErrImagePull", pulled.error().message};
      want.has_news = true;
    }
    if (auto wake = std::exchange(want.wake, nullptr)) wake();
  }
}

void Images::forget(std::string_view pod_uid) {
  const std::string prefix = std::string(pod_uid) + "_";
  std::erase_if(wants_, [&](const auto& entry) {
    if (!entry.first.starts_with(prefix)) return false;
    back_off_.forget(entry.first);
    return true;
  });
}

}  // namespace rusternetes::kubelet
