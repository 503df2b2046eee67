#pragma once
// Controllers as they run: against an api-server over a store of this process, each under its own identity.
// What they ask for is recorded, and can be answered otherwise than the server would.

#include <map>

#include "../../api-server/tests/client_world.h"
#include "controller-manager/manager.h"
#include "controller-manager/objects.h"

namespace rusternetes::controller_manager::testing {

using client::ApiClient;
using client::Resource;

inline constexpr Resource config_maps{"", "v1", "configmaps"}, namespaces{"", "v1", "namespaces"},
    nodes{"", "v1", "nodes"}, events{"", "v1", "events"}, accounts{"", "v1", "serviceaccounts"};

struct Call {
  std::string verb, resource, name_space, name;
};

// What happens to the controllers' calls. Only touched on the controllers' thread.
struct Script {
  std::vector<Call> calls;
  std::vector<Call> refused;  // of these, those that the server answered with an error
  // Answers instead of the server, where it gives something.
  std::function<std::optional<Status>(const Call&)> before;
  // Answers after the server has done what it was asked for.
  std::function<std::optional<Status>(const Call&)> after;
  // While it is true no mirror of the resource learns anything new.
  std::function<bool(const std::string& resource)> is_held = [](const std::string&) { return false; };
  std::vector<std::shared_ptr<AsyncEvent>> held;
  void release() {
    is_held = [](const std::string&) { return false; };
    for (const auto& one : std::exchange(held, {})) one->set();
  }
};

class HeldStream final : public client::WatchStream {
 public:
  HeldStream(std::unique_ptr<client::WatchStream> stream, Script& script, std::string resource,
             asio::any_io_executor executor)
      : stream_(std::move(stream)), script_(script), resource_(std::move(resource)), executor_(executor) {}
  Task<Result<std::optional<client::WatchEvent>>> next() override {
    auto event = co_await stream_->next();
    while (script_.is_held(resource_)) {
      const auto released = script_.held.emplace_back(std::make_shared<AsyncEvent>(executor_));
      co_await released->wait();
    }
    co_return event;
  }

 private:
  std::unique_ptr<client::WatchStream> stream_;
  Script& script_;
  std::string resource_;
  asio::any_io_executor executor_;
};

class ScriptedClient final : public ApiClient {
 public:
  ScriptedClient(ApiClient& client, Script& script) : client_(client), script_(script) {}
  Task<Result<Document>> get(Resource resource, std::string name_space, std::string name) override {
    co_return co_await play<Document>({"get", std::string(resource.resource), name_space, name},
                                      client_.get(resource, name_space, name));
  }
  Task<Result<client::ObjectList>> list(Resource resource, std::string name_space,
                                        client::ListOptions options) override {
    co_return co_await client_.list(resource, name_space, options);
  }
  Task<Result<std::unique_ptr<client::WatchStream>>> watch(Resource resource, std::string name_space,
                                                           client::WatchOptions options) override {
    auto stream = co_await client_.watch(resource, name_space, options);
    if (!stream) co_return stream.error();
    std::unique_ptr<client::WatchStream> held = std::make_unique<HeldStream>(
        *std::move(stream), script_, std::string(resource.resource), client_.executor());
    co_return held;
  }
  Task<Result<Document>> create(Resource resource, std::string name_space, std::string name,
                                std::string subresource, Document object,
                                client::WriteOptions options) override {
    co_return co_await play<Document>(
        {"create", std::string(resource.resource), name_space, name},
        client_.create(resource, name_space, name, subresource, object, options));
  }
  Task<Result<Document>> update(Resource resource, std::string name_space, std::string name,
                                std::string subresource, Document object,
                                client::WriteOptions options) override {
    co_return co_await play<Document>(
        {"update", std::string(resource.resource), name_space, name},
        client_.update(resource, name_space, name, subresource, object, options));
  }
  Task<Result<Document>> patch(Resource resource, std::string name_space, std::string name,
                               std::string subresource, client::PatchType type, std::string body,
                               client::WriteOptions options) override {
    co_return co_await play<Document>(
        {"patch", std::string(resource.resource), name_space, name},
        client_.patch(resource, name_space, name, subresource, type, body, options));
  }
  Task<Result<void>> remove(Resource resource, std::string name_space, std::string name,
                            client::RemoveOptions options) override {
    co_return co_await play<void>({"remove", std::string(resource.resource), name_space, name},
                                  client_.remove(resource, name_space, name, options));
  }
  std::shared_ptr<const apimachinery::Registry> registry() const override { return client_.registry(); }
  asio::any_io_executor executor() const override { return client_.executor(); }

 private:
  template <class T>
  Task<Result<T>> play(Call call, Task<Result<T>> task) {
    script_.calls.push_back(call);
    if (script_.before)
      if (auto answer = script_.before(call)) co_return *answer;
    auto result = co_await std::move(task);
    if (!result) script_.refused.push_back(call);
    if (script_.after)
      if (auto answer = script_.after(call)) co_return *answer;
    co_return result;
  }
  ApiClient& client_;
  Script& script_;
};

class ControllerWorld : public api_server::testing::ClientWorld {
 public:
  using Objects = std::map<std::string, Document>;  // by name

  // With these controllers; start() starts them.
  explicit ControllerWorld(std::vector<std::string> controllers, ManagerOptions options = {})
      : options_(std::move(options)), admin_(in_process()) {
    options_.controllers = std::move(controllers);
  }
  ~ControllerWorld() {
    if (!manager_) return;
    on_thread([this] { script.release(); });
    wait(manager_->stop());
    drop(manager_);
  }
  void start() {
    ApiClient& shared = in_process("system:kube-controller-manager");
    on_thread([&] {
      manager_ = std::make_unique<Manager>(
          std::make_unique<ScriptedClient>(shared, script),
          [this](std::string_view account) {
            return std::make_unique<ScriptedClient>(
                in_process("system:serviceaccount:kube-system:" + std::string(account)), script);
          },
          options_);
      manager_->start();
    });
  }
  ApiClient& admin() { return admin_; }

  Document create(Resource resource, const std::string& name_space, const std::string& json) {
    const auto* kind = admin_.registry()->find_resource(resource.group, resource.version, resource.resource);
    REQUIRE(kind);
    auto made = wait(
        admin_.create(resource, name_space, "", "", client::ObjectBuilder::from_json(*kind->type, json), {}));
    REQUIRE(made);
    return *made;
  }
  // `more` are further fields of its metadata: R"(,"finalizers":["a"])".
  Document create_map(const std::string& name_space, const std::string& name, const std::string& more = "") {
    return create(config_maps, name_space, R"({"metadata":{"name":")" + name + "\"" + more + "}}");
  }
  Document create_namespace(const std::string& name) {
    return create(namespaces, "", R"({"metadata":{"name":")" + name + "\"}}");
  }
  void patch(Resource resource, const std::string& name_space, const std::string& name,
             const std::string& body, const std::string& subresource = "") {
    REQUIRE(
        wait(admin_.patch(resource, name_space, name, subresource, client::PatchType::strategic, body, {})));
  }
  void remove(Resource resource, const std::string& name_space, const std::string& name,
              const std::string& propagation = "") {
    client::RemoveOptions options;
    options.propagation_policy = propagation;
    REQUIRE(wait(admin_.remove(resource, name_space, name, options)));
  }
  // Empty when it is not there.
  Document get(Resource resource, const std::string& name_space, const std::string& name) {
    auto found = wait(admin_.get(resource, name_space, name));
    if (found) return *found;
    REQUIRE(found.error().is("NotFound"));
    return {};
  }

  // Whether what a namespace holds of a resource comes to be so, within 20 seconds.
  bool comes(Resource resource, const std::string& name_space, std::function<bool(const Objects&)> is_so) {
    return wait(watch_until(resource, name_space, std::move(is_so)));
  }
  bool becomes(Resource resource, const std::string& name_space, const std::string& name,
               std::function<bool(const Document&)> is_so) {
    return comes(resource, name_space, [&](const Objects& all) {
      const auto it = all.find(name);
      return is_so(it == all.end() ? Document{} : it->second);
    });
  }
  bool appears(Resource resource, const std::string& name_space, const std::string& name) {
    return becomes(resource, name_space, name, [](const Document& object) { return bool(object); });
  }
  bool goes(Resource resource, const std::string& name_space, const std::string& name) {
    return becomes(resource, name_space, name, [](const Document& object) { return !object; });
  }
  bool has_event(const std::string& name_space, const std::string& reason, const std::string& message) {
    return comes(events, name_space, [&](const Objects& all) {
      return std::any_of(all.begin(), all.end(), [&](const auto& one) {
        const apimachinery::core_v1::Event event(&one.second.root());
        return event.reason() == reason && event.message() == message && event.type() == "Warning";
      });
    });
  }

  std::size_t count_calls(const std::string& verb, const std::string& resource,
                          const std::string& name = "") {
    std::size_t count = 0;
    on_thread([&] {
      for (const auto& call : script.calls)
        count += call.verb == verb && call.resource == resource && (name.empty() || call.name == name);
    });
    return count;
  }
  void on_thread(std::function<void()> work) {
    struct Run {
      static Task<> run(std::function<void()> work) {
        work();
        co_return;
      }
    };
    wait(Run::run(std::move(work)));
  }

  Script script;

 private:
  Task<bool> watch_until(Resource resource, std::string name_space,
                         std::function<bool(const Objects&)> is_so) {
    auto list = co_await admin_.list(resource, name_space, {});
    if (!list) co_return false;
    Objects objects;
    for (const auto& object : list->items) objects[std::string(client::name_of(object))] = object;
    if (is_so(objects)) co_return true;
    client::WatchOptions options;
    options.resource_version = list->resource_version;
    options.timeout_s = 20;
    auto stream = co_await admin_.watch(resource, name_space, options);
    if (!stream) co_return false;
    for (;;) {
      auto event = co_await (*stream)->next();
      if (!event || !*event) co_return false;
      using Type = client::WatchEvent::Type;
      const client::WatchEvent& seen = **event;
      if (seen.type == Type::bookmark) continue;
      const std::string name(client::name_of(seen.object));
      if (seen.type == Type::removed)
        objects.erase(name);
      else
        objects[name] = seen.object;
      if (is_so(objects)) co_return true;
    }
  }

  ManagerOptions options_;
  ApiClient& admin_;
  std::unique_ptr<Manager> manager_;
};

}  // namespace rusternetes::controller_manager::testing
