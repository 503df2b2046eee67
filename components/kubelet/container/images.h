#pragma once
// Images for containers after their pull policy: what is here is used, what is not is pulled in the background, and failed
// pulls are tried again later and later.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "client/event_recorder.h"
#include "kubelet/pod/back_off.h"
#include "kubelet/container/objects.h"
#include "kubelet/pod/pod_status.h"

namespace rusternetes::kubelet {

struct ImageAnswer {
  enum class Kind { present, pulling, failed } kind = Kind::failed;
  engine::ImageDetails image;          // present
  StartFailure failure;                // failed: ErrImagePull, ImagePullBackOff, ErrImageNeverPull, InvalidImageName, ...
  std::optional<SystemTime> ask_again;  // failed: when it is worth it
};

// The credentials of `.dockerconfigjson` (or of the older `.dockercfg`) for a registry; empty when it names another one.
engine::RegistryAuth registry_auth(std::string_view secret_type, std::string_view json, std::string_view domain);

class Images {
 public:
  Images(engine::Runtime& runtime, Objects& objects, client::EventRecorder& events, TaskGroup& tasks, const Clock& clock);

  // `wake` is called when a pull that this call began, or found going on, has ended; ask again then.
  Task<ImageAnswer> ensure(Document pod, ContainerRef ref, std::function<void()> wake);
  // The Pod is gone.
  void forget(std::string_view pod_uid);

 private:
  struct Want {  // of one image by one Pod
    bool is_pulling = false;
    bool is_pulled = false;  // by a finished pull that no start has used yet
    StartFailure failure;
    bool has_news = false;       // a failure that nobody was told of
    SystemTime shown_until{};    // as a failure, before it is shown as a back-off
    bool told_back_off = false;
    std::function<void()> wake;
  };
  struct Pull {
    std::vector<std::string> wants;
  };
  Task<ImageAnswer> found(std::string reference);
  Task<> pull(std::string flight, std::string reference, engine::RegistryAuth auth, Document pod, std::string where);
  // Of the first pull secret that names the image's registry; a secret that is not there is passed over with an event.
  Task<Result<engine::RegistryAuth>> credentials(Document pod, std::string reference);
  void finish(const std::string& flight, const Result<std::string>& pulled);
  ImageAnswer failed(const Document& pod, const std::string& where, std::string reason, std::string message, std::string_view event);

  engine::Runtime& runtime_;
  Objects& objects_;
  client::EventRecorder& events_;
  TaskGroup& tasks_;
  const Clock& clock_;
  BackOff back_off_{std::chrono::seconds(10), std::chrono::seconds(300)};
  std::map<std::string, Want> wants_;    // "uid_image"
  std::map<std::string, Pull> flights_;  // by reference and credentials: Pods share a pull
};

}  // namespace rusternetes::kubelet
