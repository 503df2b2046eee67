#pragma once
// The whole kubelet over a runtime and an API in memory, and what its tests ask of it.

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>

#include "apimachinery/edit.h"
#include "client/informer.h"
#include "client/object_builder.h"
#include "fake_api.h"
#include "fake_runtime.h"
#include "kubelet/kubelet.h"
#include "kubelet/pod/pod.h"

namespace rusternetes::kubelet::testing {

// Before the API: a test may hold a read back, or let it fail.
class ApiFront final : public client::ApiClient {
 public:
  explicit ApiFront(FakeApi& api) : api_(api) {}
  std::function<Task<Result<void>>(client::Resource, std::string)> before_get;  // with the name

  Task<Result<Document>> get(client::Resource resource, std::string name_space, std::string name) override {
    if (before_get) {
      auto allowed = co_await before_get(resource, name);
      if (!allowed) co_return allowed.error();
    }
    co_return co_await api_.get(resource, name_space, name);
  }
  Task<Result<client::ObjectList>> list(client::Resource resource, std::string name_space, client::ListOptions options) override {
    return api_.list(resource, std::move(name_space), std::move(options));
  }
  Task<Result<std::unique_ptr<client::WatchStream>>> watch(client::Resource resource, std::string name_space,
                                                           client::WatchOptions options) override {
    return api_.watch(resource, std::move(name_space), std::move(options));
  }
  Task<Result<Document>> create(client::Resource resource, std::string name_space, std::string name, std::string subresource,
                                Document object, client::WriteOptions options) override {
    return api_.create(resource, std::move(name_space), std::move(name), std::move(subresource), std::move(object), std::move(options));
  }
  Task<Result<Document>> update(client::Resource resource, std::string name_space, std::string name, std::string subresource,
                                Document object, client::WriteOptions options) override {
    return api_.update(resource, std::move(name_space), std::move(name), std::move(subresource), std::move(object), std::move(options));
  }
  Task<Result<Document>> patch(client::Resource resource, std::string name_space, std::string name, std::string subresource,
                               client::PatchType type, std::string body, client::WriteOptions options) override {
    return api_.patch(resource, std::move(name_space), std::move(name), std::move(subresource), type, std::move(body), std::move(options));
  }
  Task<Result<void>> remove(client::Resource resource, std::string name_space, std::string name, client::RemoveOptions options) override {
    return api_.remove(resource, std::move(name_space), std::move(name), std::move(options));
  }
  std::shared_ptr<const apimachinery::Registry> registry() const override { return api_.registry(); }
  asio::any_io_executor executor() const override { return api_.executor(); }

 private:
  FakeApi& api_;
};

inline constexpr std::chrono::seconds kDeadline{15};

struct Harness {
  Harness() : Harness([](KubeletOptions&) {}) {}
  explicit Harness(const std::function<void(KubeletOptions&)>& adjust) {
    folder = std::filesystem::temp_directory_path() / ("kubelet-test-" + std::to_string(::getpid()));
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder / "no-cgroups");
    options.node_name = "n1";
    options.node_ip = "10.213.0.2";
    options.root_dir = (folder / "root").string();
    options.log_dir = (folder / "logs").string();
    options.cgroup_mount = (folder / "no-cgroups").string();
    options.prepares_node_network = false;
    options.resolv_conf.clear();
    runtime.images = {"busybox"};
    adjust(options);
    start();
  }
  ~Harness() {
    stop();
    thread.stop();
    std::filesystem::remove_all(folder);
  }
  void start() { run(begin()); }
  void stop() {
    if (kubelet) run(end());
  }
  void run(Task<> task) { run_blocking(thread.executor(), std::move(task)); }
  Task<> begin() {
    kubelet = std::make_unique<Kubelet>(front, runtime, options);
    auto started = co_await kubelet->start();
    REQUIRE(started);
  }
  Task<> end() {
    co_await kubelet->stop();
    kubelet.reset();
  }
  // Runs on the executor's thread.
  void act(const std::function<void()>& work) { run(call(work)); }
  static Task<> call(std::function<void()> work) {
    work();
    co_return;
  }
  // True as soon as `holds` does; looks after every few milliseconds, since what it waits for is a whole program.
  bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds deadline = kDeadline) {
    bool out = false;
    run(wait(holds, deadline, out));
    return out;
  }
  static Task<> wait(std::function<bool()> holds, std::chrono::milliseconds deadline, bool& out) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    while (!(out = holds()) && std::chrono::steady_clock::now() < end) co_await sleep_for(std::chrono::milliseconds(5));
  }
  // On the node's own network, so that no wire is needed.
  void put_pod(const std::string& name, const std::string& spec_more, const std::string& containers = R"([{"name":"a","image":"busybox"}])") {
    act([&] {
      api.put("pods", R"({"metadata":{"name":")" + name + R"(","namespace":"default"},"spec":{"nodeName":"n1","hostNetwork":true,)" + spec_more +
                          R"("containers":)" + containers + R"(},"status":{"phase":"Pending","qosClass":"BestEffort"}})");
    });
  }
  // A change of the Pod that means nothing but that its worker looks again.
  void touch(const std::string& name) { run(touched(name)); }
  Task<> touched(std::string name) {
    const Document before = api.find("pods", "default", name);
    client::ObjectBuilder builder(before);
    auto& metadata = apimachinery::ensure(builder.arena(), builder.root(), core_v1::Pod::f_metadata);
    apimachinery::set_integer(builder.arena(), metadata, meta_v1::ObjectMeta::f_generation, ++touches);
    auto written = co_await api.update({"", "v1", "pods"}, "default", name, "", builder.freeze(), {});
    REQUIRE(written);
  }
  core_v1::PodStatus status(const std::string& name) {
    last = api.find("pods", "default", name);
    return pod_view(last).status();
  }
  std::string phase(const std::string& name) { return std::string(status(name).phase()); }
  std::string waiting_reason(const std::string& name) {
    const auto list = status(name).containerStatuses();
    return list.empty() ? "" : std::string(list[0].state().waiting().reason());
  }
  auto calls_of(const std::string& call) { return std::count(runtime.calls.begin(), runtime.calls.end(), call); }
  bool was_called(const std::string& call) { return std::find(runtime.calls.begin(), runtime.calls.end(), call) != runtime.calls.end(); }
  // From the executor's thread, as everything that looks into the API.
  bool has_event(const std::string& reason) { return !event_message(reason).empty(); }
  std::string event_message(const std::string& reason) {
    for (const auto& event : api.all("events"))
      if (core_v1::Event(&event.root()).reason() == reason) return std::string(core_v1::Event(&event.root()).message());
    return {};
  }

  std::filesystem::path folder;
  KubeletOptions options;
  EventThread thread{"kubelet-test"};
  FakeApi api{thread.executor()};
  ApiFront front{api};
  FakeRuntime runtime{thread.executor()};
  std::unique_ptr<Kubelet> kubelet;
  Document last;
  int touches = 1;
};

// Ends the kubelet before what a test has declared above it, and what the kubelet's tasks use of that.
struct StopsFirst {
  explicit StopsFirst(Harness& harness) : harness(harness) {}
  ~StopsFirst() { harness.stop(); }
  Harness& harness;
};

}  // namespace rusternetes::kubelet::testing
