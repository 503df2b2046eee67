#pragma once
// EnginePort on components/engine: its coroutines are run to their end on a loop of this object's own.

#include <boost/asio/co_spawn.hpp>
#include <map>
#include <memory>
#include <optional>

#include "base/task.h"
#include "launcher/environment.h"
#include "launcher/ports/engine_port.h"

namespace rusternetes::engine {
class Engine;
struct EngineOptions;
}  // namespace rusternetes::engine

namespace rusternetes::launcher {

class EngineApi final : public EnginePort {
 public:
  // Every request is a point of `hooks`, before and after.
  EngineApi(std::function<std::optional<std::string>(const char*)> variable, Hooks& hooks);
  ~EngineApi() override;

  Result<EngineChoice> find(const std::string& kind) override;
  bool can_start_private() override;
  std::string private_socket(const std::filesystem::path& folder) override;
  Result<> start_private(const std::filesystem::path& folder) override;
  Result<> stop_private(const std::filesystem::path& folder) override;
  bool is_answering(const EngineChoice& choice) override;
  Result<bool> has_image(const EngineChoice& choice, const std::string& reference) override;
  Result<std::vector<std::string>> load_archive(
      const EngineChoice& choice, const std::filesystem::path& archive,
      const std::function<void(std::uint64_t, std::uint64_t)>& on_progress) override;
  Result<> save_image(const EngineChoice& choice, const std::string& reference,
                      const std::filesystem::path& archive) override;
  Result<> load_pause_image(const EngineChoice& choice) override;
  Result<> remove_pause_image(const EngineChoice& choice) override;
  Result<std::vector<ClusterContainer>> containers(const EngineChoice& choice,
                                                   const std::string& cluster) override;
  Result<> stop_pods(const EngineChoice& choice, const std::vector<PodToStop>& pods,
                     const std::function<void(std::size_t)>& on_stopped) override;
  Result<> remove_container(const EngineChoice& choice, const std::string& id) override;

  Result<> remove_image(const EngineChoice& choice, const std::string& reference) override;
  Result<> pull_image(const EngineChoice& choice, const std::string& reference) override;
  std::string pause_image() override;
  Result<> make_networks(const EngineChoice& choice, const Manifest& manifest) override;
  Result<> remove_networks(const EngineChoice& choice, const std::string& cluster) override;
  Result<> bring_up(const EngineChoice& choice, const Manifest& manifest, const std::vector<std::string>& keys,
                    const std::filesystem::path& log_folder,
                    const std::function<void(std::size_t)>& on_up) override;
  Result<> signal_component(const EngineChoice& choice, const std::string& id, const std::string& signal) override;
  Result<> hand_over(const EngineChoice& choice, const Manifest& manifest, const std::string& key,
                     const std::filesystem::path& log_folder) override;
  Result<std::vector<ComponentContainer>> components(const EngineChoice& choice,
                                                     const std::string& cluster) override;
  Result<> end_components(const EngineChoice& choice, const std::vector<std::string>& ids,
                          std::chrono::seconds grace) override;
  Result<> read_logs(const LogRequest& request,
                     const std::function<bool(const std::string&, std::string_view)>& on_line,
                     const std::function<bool()>& goes_on) override;
  Result<> restart_component(const EngineChoice& choice, const std::string& id,
                             std::chrono::seconds grace) override;

 private:
  // Turns the loop until the task has ended.
  template <class T>
  Result<T> run(Task<Result<T>> task);
  // All of them, at most `limit` at a time. The first error, after every one has ended.
  using Work = std::function<Task<Result<void>>()>;
  Result<> run_all(const std::vector<Work>& all, std::size_t limit);
  // Of a manifest's containers those whose end nobody saw.
  Result<> remove_lost(engine::Engine& engine, const Manifest& manifest,
                       const std::vector<std::string>& keys);
  engine::EngineOptions options(std::chrono::milliseconds timeout) const;
  // Connected on first use.
  Result<engine::Engine*> at(const EngineChoice& choice);

  std::function<std::optional<std::string>(const char*)> variable_;
  Hooks& hooks_;
  asio::io_context context_{1};
  std::map<std::string, std::unique_ptr<engine::Engine>> engines_;  // by socket
};

template <class T>
Result<T> EngineApi::run(Task<Result<T>> task) {
  std::optional<Result<T>> result;
  std::exception_ptr error;
  asio::co_spawn(context_, std::move(task), [&](std::exception_ptr thrown, Result<T> value) {
    error = thrown;
    result.emplace(std::move(value));
  });
  context_.restart();
  while (!result) context_.run_one();
  if (error) std::rethrow_exception(error);
  return *std::move(result);
}

// Whether the owner label of a container names the cluster: "CLUSTER" or "CLUSTER/NODE".
bool is_owned_by(std::string_view owner, std::string_view cluster);

// The references and ids in what an engine says of a load: "Loaded image: REF" or "Loaded image ID:
// sha256:…", a line each; Podman separates several by commas.
std::vector<std::string> loaded_names(std::string_view said);

}  // namespace rusternetes::launcher
