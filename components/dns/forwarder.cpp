#include "dns/forwarder.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "base/log.h"
#include "client/guarded.h"

namespace rusternetes::dns {

namespace {
using SteadyClock = std::chrono::steady_clock;

// What another server may know better.
bool is_worth_another(Rcode rcode) {
  return rcode == Rcode::server_failure || rcode == Rcode::refused || rcode == Rcode::not_implemented;
}
}  // namespace

Result<std::unique_ptr<Forwarder>> Forwarder::make(asio::any_io_executor executor, const Clock& clock,
                                                   UpstreamOptions options, CacheOptions cache) {
  std::unique_ptr<Forwarder> made(new Forwarder(std::move(executor), clock, std::move(options), cache));
  for (const auto& stub : made->options_.stub_domains) {
    auto group = std::make_shared<Group>();
    RN_TRY(group->domain, name_from_text(stub.domain));
    for (const auto& address : stub.servers) group->servers.push_back({address});
    made->stubs_.push_back(std::move(group));
  }
  std::ranges::stable_sort(made->stubs_, std::greater{},
                           [](const auto& group) { return group->domain.size(); });
  made->rest_ = std::make_shared<Group>();
  for (const auto& address : made->options_.servers) made->rest_->servers.push_back({address});
  return made;
}

Forwarder::Forwarder(asio::any_io_executor executor, const Clock& clock, UpstreamOptions options,
                     CacheOptions cache)
    : clock_(clock),
      options_(std::move(options)),
      cache_(clock, cache),
      tasks_(executor),
      look_again_(executor) {}

void Forwarder::start() {
  reload_if_changed();
  tasks_.spawn("dns servers", watch_servers());
}

Task<> Forwarder::stop() {
  co_await tasks_.stop();
  flights_.clear();
}

namespace {
// Zeros for a file that cannot be looked at. Replaced, rewritten or linked to elsewhere, it differs.
std::array<std::int64_t, 7> state_of(const std::string& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0) return {};
  return {static_cast<std::int64_t>(found.st_dev),
          static_cast<std::int64_t>(found.st_ino),
          found.st_size,
          found.st_mtim.tv_sec,
          found.st_mtim.tv_nsec,
          found.st_ctim.tv_sec,
          found.st_ctim.tv_nsec};
}
}  // namespace

// A host's resolvers change with its networks. Looked at once a second at most, when somebody asks.
void Forwarder::reload_if_changed() {
  if (options_.resolv_conf.empty() || !options_.servers.empty()) return;
  const auto now = SteadyClock::now();
  if (now - looked_at_ < std::chrono::seconds(1)) return;
  looked_at_ = now;
  const auto state = state_of(options_.resolv_conf);
  if (state == file_read_ || state == decltype(state){}) return;  // for a moment it may not be there
  std::ifstream file(options_.resolv_conf, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) return;
  file_read_ = state;
  const auto addresses = parse_resolv_conf(text);
  if (std::ranges::equal(addresses, rest_->servers, {}, {}, &Server::address)) return;
  auto group = std::make_shared<Group>();
  std::string names;
  for (const auto& address : addresses) {
    group->servers.push_back({address});
    names += (names.empty() ? "" : ", ") + address.to_string();
  }
  rest_ = std::move(group);
  cache_.clear();  // what the old ones did not know, the new ones may
  log::info("dns", "other names are asked of {} ({})", names.empty() ? "nobody" : names,
            options_.resolv_conf);
  look_again_.set();
}

std::string_view Forwarder::stub_of(std::string_view name) const {
  for (const auto& group : stubs_)
    if (is_within(name, group->domain)) return group->domain;
  return {};
}

std::shared_ptr<Forwarder::Group> Forwarder::group_of(std::string_view name) {
  for (const auto& group : stubs_)
    if (is_within(name, group->domain)) return group;
  reload_if_changed();
  return rest_;
}

bool Forwarder::has_servers(std::string_view name) { return !group_of(name)->servers.empty(); }

void Forwarder::resolve(const Query& query, Done done) {
  const std::string key = Cache::key_of(query);
  auto found = flights_.find(key);
  const bool is_too_much = waiting_ >= options_.most_waiting ||
                           (found == flights_.end() && flights_.size() >= options_.most_concurrent);
  if (is_too_much || tasks_.is_stopping()) {
    ++counters_.rejected;
    return done(ForeignAnswer::failure(Rcode::refused, clock_.steady_now()));
  }
  ++waiting_;
  if (found != flights_.end()) return found->second->waiting.push_back(std::move(done));
  auto flight = std::make_shared<Flight>();
  flight->waiting.push_back(std::move(done));
  flights_.emplace(key, std::move(flight));
  Question question{query.lower_name, query.type, query.klass, query.wants_dnssec,
                    (query.flags & flag_checking_disabled) != 0};
  tasks_.spawn("dns forward", fly(key, group_of(query.lower_name), std::move(question)));
}

Task<> Forwarder::fly(std::string key, std::shared_ptr<Group> group, Question question) {
  std::shared_ptr<const ForeignAnswer> answer =
      ForeignAnswer::failure(Rcode::server_failure, clock_.steady_now());
  std::exception_ptr thrown;
  try {
    answer = co_await ask(group, std::move(question));
  } catch (...) {
    thrown = std::current_exception();
  }
  // However it ends, those who wait are told, and the next question may fly.
  if (thrown) log::error("dns", "forwarding: {}", client::caught(thrown, tasks_).message);
  if (!group->domain.empty() || group == rest_) cache_.put(key, answer);  // unless the servers are others now
  const auto flight = flights_.extract(key).mapped();
  waiting_ -= flight->waiting.size();
  for (const auto& done : flight->waiting) done(answer);
}

// Those that answered last first, in the order given; then those that are down. Never one that leads back to
// us.
std::vector<std::size_t> Forwarder::order_of(const Group& group) const {
  std::vector<std::size_t> order;
  for (const bool is_down : {false, true})
    for (std::size_t i = 0; i < group.servers.size(); ++i)
      if (!group.servers[i].loops && group.servers[i].is_down == is_down) order.push_back(i);
  return order;
}

Task<std::shared_ptr<const ForeignAnswer>> Forwarder::ask(std::shared_ptr<Group> group, Question question) {
  const auto end = SteadyClock::now() + options_.whole_timeout;
  const auto order = order_of(*group);
  auto last = ForeignAnswer::failure(Rcode::server_failure, clock_.steady_now());
  // Twice at least: a datagram may get lost.
  const std::size_t tries = order.empty() ? 0 : std::max<std::size_t>(order.size(), 2);
  bool has_answered = false;
  for (std::size_t i = 0; i < tries; ++i) {
    const auto now = SteadyClock::now();
    if (now + std::chrono::milliseconds(10) > end) break;
    if (i >= order.size() && has_answered) break;
    auto answer =
        co_await ask_one(group, order[i % order.size()], question, std::min(end, now + options_.try_timeout));
    if (!answer) continue;
    has_answered = true;
    last = std::move(answer);
    if (!is_worth_another(last->rcode())) break;
  }
  co_return last;
}

Task<std::shared_ptr<const ForeignAnswer>> Forwarder::ask_one(std::shared_ptr<Group> group, std::size_t index,
                                                              Question question,
                                                              SteadyClock::time_point deadline) {
  const auto started = SteadyClock::now();
  Server& server = group->servers[index];
  const std::string to = server.address.to_string();
  ExchangeOptions options{deadline, true, options_.name_space};
  auto exchanged = co_await exchange(server.address, question, options);
  // From before EDNS (RFC 6891 section 6.2.2).
  if (exchanged && exchanged->walk.rcode() == static_cast<int>(Rcode::format_error)) {
    options.has_edns = false;
    exchanged = co_await exchange(server.address, std::move(question), std::move(options));
  }
  if (!exchanged && exchanged.error().is("NoSocket")) {
    log::warn("dns", "{} is not asked: {}", to, exchanged.error().message);
    co_return nullptr;
  }
  if (!exchanged) {
    ++counters_.failures[to];
    server.is_down = true;
    server.look_at = std::min(server.look_at, SteadyClock::now() + options_.down_recheck);
    look_again_.set();
    log::debug("dns", "{}", exchanged.error().message);
    co_return nullptr;
  }
  server.is_down = false;
  const auto rcode = static_cast<Rcode>(exchanged->walk.rcode());
  counters_.exchanges[{to, std::string(dns::name_of(rcode))}].add(SteadyClock::now() - started);
  co_return std::make_shared<const ForeignAnswer>(exchanged->message, exchanged->walk, clock_.steady_now());
}

bool Forwarder::takes_probe(const Query& query) {
  if (query.type != type_hinfo || probes_.empty()) return false;
  const auto found = probes_.find(query.lower_name);
  if (found == probes_.end()) return false;
  found->second.has_come_back = true;
  auto& server = found->second.group->servers[found->second.index];
  if (!std::exchange(server.loops, true))
    log::error("dns", "{} sends its questions back to this server: it is not asked any more",
               server.address.to_string());
  return true;
}

Task<> Forwarder::probe(std::shared_ptr<Group> group, std::size_t index) {
  Server& server = group->servers[index];
  Question question;
  question.name = *name_from_text(fmt::format("{:016x}.{:016x}", unguessable(), unguessable()));
  question.name.pop_back();
  question.name += group->domain.empty() ? std::string(1, '\0') : group->domain;
  question.type = type_hinfo;
  probes_[question.name] = {group, index, false};
  const std::string name = question.name;
  const auto answer =
      co_await exchange(server.address, std::move(question),
                        {SteadyClock::now() + options_.try_timeout, true, options_.name_space});
  const bool has_come_back = probes_.extract(name).mapped().has_come_back;
  if (tasks_.is_stopping()) co_return;
  if (answer) server.is_down = false;  // whatever it says; silence to such a question proves nothing
  if (std::exchange(server.loops, has_come_back) && !has_come_back)
    log::info("dns", "{} is asked again", server.address.to_string());
  const auto now = SteadyClock::now();
  server.look_at = server.loops     ? now + options_.loop_recheck
                   : server.is_down ? now + options_.down_recheck
                                    : SteadyClock::time_point::max();
}

// Each server in the beginning, and from time to time those that lead back here or do not answer: clients
// need not wait to find out that one is still silent.
Task<> Forwarder::watch_servers() {
  for (;;) {
    auto groups = stubs_;
    groups.push_back(rest_);
    auto next = SteadyClock::time_point::max();
    for (const auto& group : groups)
      for (const auto& server : group->servers) next = std::min(next, server.look_at);
    if (next > SteadyClock::now()) {
      co_await look_again_.wait_until(next);
      continue;
    }
    for (const auto& group : groups)
      for (std::size_t i = 0; i < group->servers.size(); ++i)
        if (group->servers[i].look_at <= SteadyClock::now()) co_await probe(group, i);
  }
}

}  // namespace rusternetes::dns
