// The proxy of the tests' world.
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>
#include <future>

#include "world.h"

namespace rusternetes::kube_proxy::testing {

Proxy::Proxy(const NetworkNamespace& node, std::function<void(KubeProxyOptions&)> change, bool has_policies)
    : api(std::make_shared<MemoryApi::Shared>(thread_.executor())), has_policies_(has_policies), node_(node) {
  options_.cluster = "kube-proxy-test";
  options_.node_name = "here";
  options_.pod_cidrs = {*IpPrefix::parse("10.244.0.0/16")};
  options_.service_ranges = {*IpPrefix::parse("10.96.0.0/16")};
  options_.nodeport_addresses = {"0.0.0.0/0", "::/0"};
  options_.check_period = std::chrono::milliseconds(1000);
  if (change) change(options_);
}
Proxy::~Proxy() {
  stop();
  on_thread([&] { proxy_.reset(); });
  thread_.stop();
}

void Proxy::on_thread(std::function<void()> work) {
  std::promise<void> done;
  asio::post(thread_.executor(), [&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

void Proxy::begin() {
  on_thread([&] {
    proxy_ = std::make_unique<KubeProxy>(std::make_unique<MemoryApi>(api), node_, options_,
                                         has_policies_ ? std::make_unique<MemoryApi>(api) : nullptr);
    proxy_->start();
  });
}

void Proxy::start() {
  begin();
  REQUIRE(eventually([&] { return read([](KubeProxy& proxy) { return proxy.has_synced(); }); },
                     std::chrono::seconds(20)));
}

void Proxy::stop() {
  if (!proxy_) return;
  run_blocking(thread_.executor(), proxy_->stop());
  on_thread([&] { proxy_.reset(); });
}

void Proxy::change(std::uint64_t count, std::function<void()> work) {
  if (!proxy_) return on_thread(work);
  std::uint64_t seen = 0;
  on_thread([&] {
    const auto& metrics = proxy_->metrics();
    seen = metrics.service_changes + metrics.endpoint_changes;
    work();
  });
  REQUIRE(eventually([&] {
    return read([&](KubeProxy& proxy) {
      const auto& metrics = proxy.metrics();
      return metrics.service_changes + metrics.endpoint_changes >= seen + count && proxy.is_up_to_date();
    });
  }));
}
void Proxy::set(const std::string& resource, const Document& object) {
  change(1, [&] { api->set(resource, object); });
}
void Proxy::set_all(const std::vector<std::pair<std::string, Document>>& objects) {
  change(objects.size(), [&] {
    for (const auto& [resource, object] : objects) api->set(resource, object);
  });
}
void Proxy::remove(const std::string& resource, const std::string& key) {
  change(1, [&] { api->remove(resource, key); });
}

void Proxy::change_policies(std::uint64_t count, std::function<void()> work) {
  if (!proxy_) return on_thread(work);
  std::uint64_t seen = 0;
  on_thread([&] {
    seen = proxy_->policies()->metrics().changes;
    work();
  });
  REQUIRE(eventually([&] {
    return read([&](KubeProxy& proxy) {
      return proxy.policies()->metrics().changes >= seen + count && proxy.is_up_to_date();
    });
  }));
}
void Proxy::set_policies(const std::vector<std::pair<std::string, Document>>& objects) {
  change_policies(objects.size(), [&] {
    for (const auto& [resource, object] : objects) api->set(resource, object);
  });
}
void Proxy::remove_policies(const std::vector<std::pair<std::string, std::string>>& keys) {
  change_policies(keys.size(), [&] {
    for (const auto& [resource, key] : keys) api->remove(resource, key);
  });
}

void Proxy::set_node(const Document& node) {
  on_thread([&] { api->set("nodes", node); });
}

}  // namespace rusternetes::kube_proxy::testing
