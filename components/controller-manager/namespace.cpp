// A namespace that is being deleted: its content goes, then its finalizer (pkg/controller/namespace).

#include <fmt/format.h>

#include <algorithm>

#include "client/object_builder.h"
#include "controller-manager/manager.h"
#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using client::Resource;
using core_v1::Namespace;

namespace {

constexpr Resource namespaces{"", "v1", "namespaces"};

class NamespaceController final : public Controller, public client::Reconciler {
 public:
  explicit NamespaceController(Context& context)
      : client_(context.make_client("namespace-controller")),
        namespaces_(context.informer(namespaces)),
        loop_("namespace-controller", client_->executor(), *this, 5) {
    namespaces_.add_handler({[this](const Document&, const Document& now) {
      if (now && metadata_of(now).has_deletionTimestamp())
        loop_.queue().add(std::string(client::name_of(now)));
    }});
  }
  void start(TaskGroup& tasks) override { loop_.start(tasks); }

  Task<Result<client::ReconcileResult>> reconcile(std::string name) override {
    const Document name_space = namespaces_.get(name);
    if (!name_space) co_return client::ReconcileResult{};
    const Namespace view(&name_space.root());
    bool has_finalizer = false;
    for (const auto finalizer : view.spec().finalizers()) has_finalizer |= finalizer == "kubernetes";
    if (!view.metadata().has_deletionTimestamp() || !has_finalizer) co_return client::ReconcileResult{};
    std::size_t left = 0;
    std::string failure;
    const auto registry = client_->registry();
    for (const Kind* kind : registry->resources()) {
      if (!kind->is_namespaced || !(kind->verbs & verb_delete) || !(kind->verbs & verb_list)) continue;
      const Resource resource{kind->group_version.group, kind->group_version.version, kind->resource};
      auto list = co_await client_->list(resource, name, {});
      if (!list) {
        if (!list.error().is("NotFound") && failure.empty()) failure = list.error().message;
        continue;
      }
      for (const auto& object : list->items) {
        ++left;
        if (metadata_of(object).has_deletionTimestamp()) continue;
        client::RemoveOptions options;
        options.propagation_policy = "Background";
        auto removed =
            co_await client_->remove(resource, name, std::string(client::name_of(object)), options);
        if (!removed && !removed.error().is("NotFound") && failure.empty()) failure = removed.error().message;
        if (removed && !metadata_of(object).finalizers().size() && kind->resource != "pods") --left;
      }
    }
    if (!failure.empty())
      co_return internal_error(fmt::format("content of namespace {} cannot be deleted: {}", name, failure));
    if (left) co_return client::ReconcileResult{std::chrono::milliseconds(500)};
    client::ObjectBuilder builder(name_space);
    Value& spec = ensure(builder.arena(), builder.root(), Namespace::f_spec);
    Value kept = Value::empty(ValueKind::list);
    for (const auto finalizer : view.spec().finalizers())
      if (finalizer != "kubernetes") append_string(builder.arena(), kept, finalizer);
    if (kept.size)
      assign(set_field(builder.arena(), spec, core_v1::NamespaceSpec::f_finalizers), kept);
    else
      erase_field(spec, core_v1::NamespaceSpec::f_finalizers);
    auto finalized = co_await client_->update(namespaces, "", name, "finalize", builder.freeze(), {});
    if (!finalized && !finalized.error().is("NotFound")) co_return finalized.error();
    co_return client::ReconcileResult{};
  }

 private:
  std::unique_ptr<client::ApiClient> client_;
  client::Informer& namespaces_;
  client::ControllerLoop loop_;
};

}  // namespace

std::unique_ptr<Controller> make_namespace_controller(Context& context) {
  return std::make_unique<NamespaceController>(context);
}

}  // namespace rusternetes::controller_manager
