#include "load.h"

#include <fmt/format.h>

#include <random>

#include "storage/blocking.h"

namespace rusternetes::storage::testing {
namespace {

std::shared_ptr<const std::string> filler(std::mt19937& random, int writer, std::int64_t n,
                                          std::size_t size) {
  std::string text = fmt::format("{}:{}:", writer, n);
  while (text.size() < size) {
    const auto bits = random();
    text.append(reinterpret_cast<const char*>(&bits), sizeof bits);
  }
  return std::make_shared<const std::string>(std::move(text));
}

}  // namespace

std::string stamp_key(int writer) { return fmt::format("{}{:02}/stamp", all_keys, writer); }

TxnRequest transaction(int writer, std::int64_t n, Revision stamp_revision) {
  std::mt19937 random(static_cast<unsigned>(n * 64 + writer));
  const std::string own = fmt::format("{}{:02}/", all_keys, writer);
  TxnRequest request;
  request.compares.push_back(
      {stamp_key(writer), {}, Compare::Target::mod_revision, Compare::Relation::equal, stamp_revision, {}});
  auto put = [&](const std::string& key, std::size_t size) {
    request.success.emplace_back(
        PutRequest{own + key, filler(random, writer, n, size), 0, false, false, false});
  };
  switch (random() % 8) {
    case 0:  // several keys go
      request.success.emplace_back(DeleteRequest{own + "few/", prefix_end(own + "few/"), false});
      break;
    case 1:
    case 2:
    case 3:  // several keys change together
      for (unsigned i = 0, count = 2 + random() % 5; i < count; ++i)
        put(fmt::format("many/{}", i), random() % 700);
      break;
    case 4:
    case 5:
      put(fmt::format("few/{}", random() % 20), random() % 3000);
      break;
    case 6:  // one goes, another comes
      request.success.emplace_back(DeleteRequest{fmt::format("{}few/{}", own, random() % 20), {}, false});
      put("one", 40);
      break;
    default:  // more pages than others
      put("large", random() % 4 == 0 ? 60'000 : 9'000);
  }
  request.success.emplace_back(PutRequest{
      stamp_key(writer), std::make_shared<const std::string>(std::to_string(n)), 0, false, false, false});
  return request;
}

Result<TxnResponse> run(Store& store, TxnRequest request) {
  return blocking_call<TxnResponse>([&](auto done) { store.txn(std::move(request), std::move(done)); });
}

Result<void> compact(Store& store, Revision revision) {
  return blocking_call<void>([&](auto done) { store.compact(revision, std::move(done)); });
}

Result<Stamp> read_stamp(Store& store, int writer) {
  RN_TRY(auto found, store.range({.key = stamp_key(writer)}));
  if (found.kvs.empty()) return Stamp{};
  return Stamp{std::stoll(*found.kvs[0].value), found.kvs[0].mod_revision};
}

Load::Load(Store& store, Options options, Acked acked)
    : store_(store), options_(options), acked_(std::move(acked)) {
  for (int writer = 0; writer < writer_count; ++writer)
    threads_.emplace_back([this, writer] { write(writer); });
}

Load::~Load() {
  stop();
  join();
}

void Load::stop() { stopping_ = true; }

void Load::join() {
  for (auto& thread : threads_)
    if (thread.joinable()) thread.join();
}

std::vector<Status> Load::errors() {
  std::lock_guard lock(mutex_);
  return errors_;
}

void Load::add_error(Status error) {
  std::lock_guard lock(mutex_);
  errors_.push_back(std::move(error));
}

void Load::write(int writer) {
  auto stamp = read_stamp(store_, writer);
  for (std::int64_t i = 0; stamp && i < options_.transactions && !stopping_; ++i) {
    const std::int64_t n = stamp->n + 1;
    auto response = run(store_, transaction(writer, n, stamp->revision));
    if (response && !response->succeeded)
      return add_error(
          internal_error(fmt::format("the stamp of writer {} was not {}", writer, stamp->revision)));
    if (response) {
      *stamp = {n, response->revision};
      std::lock_guard lock(mutex_);
      acked_(writer, n, response->revision);
      continue;
    }
    add_error(response.error());
    if (!options_.goes_on_after_errors) return;
    stamp = read_stamp(store_, writer);
    if (stamp && stamp->n == n) {
      std::lock_guard lock(mutex_);
      acked_(writer, n, stamp->revision);
    }
  }
  if (!stamp) add_error(stamp.error());
}

}  // namespace rusternetes::storage::testing
