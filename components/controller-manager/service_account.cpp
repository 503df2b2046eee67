// Every namespace has a ServiceAccount `default` (pkg/controller/serviceaccount).

#include "client/object_builder.h"
#include "controller-manager/manager.h"
#include "controller-manager/namespace_end.h"
#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using client::Resource;

namespace {

constexpr Resource namespaces{"", "v1", "namespaces"}, accounts{"", "v1", "serviceaccounts"};

class ServiceAccountController final : public Controller, public client::Reconciler {
 public:
  explicit ServiceAccountController(Context& context)
      : client_(context.make_client("service-account-controller")),
        namespaces_(context.informer(namespaces)),
        accounts_(context.informer(accounts)),
        loop_("service-account-controller", client_->executor(), *this) {
    namespaces_.add_handler({[this](const Document&, const Document& now) {
      if (now) loop_.queue().add(std::string(client::name_of(now)));
    }});
    accounts_.add_handler({[this](const Document& before, const Document& now) {
      if (!now && client::name_of(before) == "default")
        loop_.queue().add(std::string(client::namespace_of(before)));
    }});
  }
  void start(TaskGroup& tasks) override { loop_.start(tasks); }

  Task<Result<client::ReconcileResult>> reconcile(std::string name) override {
    const Document name_space = namespaces_.get(name);
    if (!name_space || core_v1::Namespace(&name_space.root()).status().phase() == "Terminating")
      co_return client::ReconcileResult{};
    if (accounts_.get(key_of(name, "default"))) co_return client::ReconcileResult{};
    client::ObjectBuilder builder(core_v1::ServiceAccount::schema_type());
    Value& metadata = ensure(builder.arena(), builder.root(), core_v1::ServiceAccount::f_metadata);
    set_string(builder.arena(), metadata, meta_v1::ObjectMeta::f_name, "default");
    set_string(builder.arena(), metadata, meta_v1::ObjectMeta::f_namespace_, name);
    auto created = co_await client_->create(accounts, name, "", "", builder.freeze(), {});
    if (!created && !created.error().is("AlreadyExists") && !is_namespace_ending(created.error()))
      co_return created.error();
    co_return client::ReconcileResult{};
  }

 private:
  std::unique_ptr<client::ApiClient> client_;
  client::Informer &namespaces_, &accounts_;
  client::ControllerLoop loop_;
};

}  // namespace

std::unique_ptr<Controller> make_service_account_controller(Context& context) {
  return std::make_unique<ServiceAccountController>(context);
}

}  // namespace rusternetes::controller_manager
