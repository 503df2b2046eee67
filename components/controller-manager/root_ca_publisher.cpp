// Every namespace has the cluster's authority in ConfigMap `kube-root-ca.crt`
// (pkg/controller/certificates/rootcacertpublisher).

#include "client/object_builder.h"
#include "controller-manager/manager.h"
#include "controller-manager/namespace_end.h"
#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using client::Resource;
using core_v1::ConfigMap;

namespace {

constexpr Resource namespaces{"", "v1", "namespaces"}, config_maps{"", "v1", "configmaps"};
constexpr std::string_view map_name = "kube-root-ca.crt", description = "kubernetes.io/description";

class RootCaPublisher final : public Controller, public client::Reconciler {
 public:
  explicit RootCaPublisher(Context& context)
      : client_(context.make_client("root-ca-cert-publisher")),
        namespaces_(context.informer(namespaces)),
        maps_(context.informer(config_maps)),
        loop_("root-ca-cert-publisher", client_->executor(), *this),
        ca_(context.options.root_ca_pem) {
    namespaces_.add_handler({[this](const Document&, const Document& now) {
      if (now) loop_.queue().add(std::string(client::name_of(now)));
    }});
    maps_.add_handler({[this](const Document& before, const Document& now) {
      if (client::name_of(now ? now : before) == map_name)
        loop_.queue().add(std::string(client::namespace_of(now ? now : before)));
    }});
  }
  void start(TaskGroup& tasks) override {
    if (!ca_.empty()) loop_.start(tasks);
  }

  Task<Result<client::ReconcileResult>> reconcile(std::string name) override {
    const Document name_space = namespaces_.get(name);
    if (!name_space || core_v1::Namespace(&name_space.root()).status().phase() == "Terminating")
      co_return client::ReconcileResult{};
    const Document present = maps_.get(key_of(name, map_name));
    if (present && is_right(ConfigMap(&present.root()))) co_return client::ReconcileResult{};
    client::ObjectBuilder builder =
        present ? client::ObjectBuilder(present) : client::ObjectBuilder(ConfigMap::schema_type());
    Arena& arena = builder.arena();
    Value& metadata = ensure(arena, builder.root(), ConfigMap::f_metadata);
    set_string(arena, metadata, meta_v1::ObjectMeta::f_name, map_name);
    set_string(arena, metadata, meta_v1::ObjectMeta::f_namespace_, name);
    set_map_string(arena, ensure(arena, metadata, meta_v1::ObjectMeta::f_annotations, ValueKind::map),
                   description,
                   "Contains a CA bundle that can be used to verify the kube-apiserver when using internal "
                   "endpoints such as the internal service IP or kubernetes.default.svc. "
                   "No other usage is guaranteed across distributions of Kubernetes clusters.");
    erase_field(builder.root(), ConfigMap::f_data);
    set_map_string(arena, ensure(arena, builder.root(), ConfigMap::f_data, ValueKind::map), "ca.crt", ca_);
    Result<Document> written = Status{};
    if (present)
      written = co_await client_->update(config_maps, name, std::string(map_name), "", builder.freeze(), {});
    else
      written = co_await client_->create(config_maps, name, "", "", builder.freeze(), {});
    if (!written && !present && (written.error().is("AlreadyExists") || is_namespace_ending(written.error())))
      co_return client::ReconcileResult{};
    if (!written) co_return written.error();
    co_return client::ReconcileResult{};
  }

 private:
  bool is_right(const ConfigMap& map) const {
    return map.data().size() == 1 && map.data().get("ca.crt") == ca_ &&
           !map.metadata().annotations().get(description).empty();
  }

  std::unique_ptr<client::ApiClient> client_;
  client::Informer &namespaces_, &maps_;
  client::ControllerLoop loop_;
  std::string ca_;
};

}  // namespace

std::unique_ptr<Controller> make_root_ca_publisher(Context& context) {
  return std::make_unique<RootCaPublisher>(context);
}

}  // namespace rusternetes::controller_manager
