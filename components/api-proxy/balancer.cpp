#include "api-proxy/balancer.h"

#include <algorithm>
#include <tuple>

#include "base/status.h"

namespace rusternetes::api_proxy {

std::optional<std::size_t> Balancer::take(const std::vector<bool>& tried) {
  using Rank = std::tuple<Standing, std::size_t, std::size_t>;
  std::optional<std::pair<Rank, std::size_t>> best;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (tried[i]) continue;
    const Server& server = servers_[i];
    const std::size_t burden = server.standing == Standing::ready ? server.connections : 0;
    const std::size_t n = servers_.size();
    const std::size_t turn = last_ == SIZE_MAX ? i : (i + n - last_ - 1) % n;
    const Rank rank{server.standing, burden, turn};
    if (!best || rank < best->first) best.emplace(rank, i);
  }
  if (!best) return std::nullopt;
  last_ = best->second;
  ++servers_[last_].connections;
  return last_;
}

void Balancer::release(std::size_t server) {
  RN_ASSERT(servers_[server].connections > 0, "a connection ended twice");
  --servers_[server].connections;
}

bool Balancer::note_probe(std::size_t server, Probe result, Time began) {
  Server& it = servers_[server];
  const Standing before = it.standing;
  if (result == Probe::failed) {
    ++it.failures;
    it.standing = Standing::failed;
  } else {
    it.failures = 0;
    if (began >= it.refused_at) it.standing = result == Probe::ready ? Standing::ready : Standing::not_ready;
  }
  return it.standing != before;
}

bool Balancer::note_refused(std::size_t server, Time now) {
  Server& it = servers_[server];
  it.refused_at = now;
  const bool is_news = it.standing != Standing::failed;
  it.standing = Standing::failed;
  return is_news;
}

std::vector<std::size_t> Balancer::to_leave() const {
  const bool is_any_awake = std::any_of(servers_.begin(), servers_.end(), [](const Server& server) {
    return server.standing == Standing::ready || server.standing == Standing::not_ready;
  });
  std::vector<std::size_t> out;
  for (std::size_t i = 0; is_any_awake && i < servers_.size(); ++i)
    if (servers_[i].failures >= failures_to_leave && servers_[i].connections > 0) out.push_back(i);
  return out;
}

bool Balancer::has_ready() const {
  return std::any_of(servers_.begin(), servers_.end(),
                     [](const Server& server) { return server.standing == Standing::ready; });
}

}  // namespace rusternetes::api_proxy
