#include "store/requests.h"

#include <fmt/format.h>

#include <charconv>

namespace rusternetes::bench {

using namespace etcdserverpb;

std::string object_key(std::size_t n) { return fmt::format("{}default/object-{:07}", objects_prefix, n); }

std::string fresh_value(std::size_t bytes) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  std::string value = fmt::format("{:020} ", std::chrono::nanoseconds(now).count());
  // Letters that depend on the time, so that nobody gains by squeezing what a store would not meet.
  auto state = static_cast<std::uint64_t>(now.count()) * 2862933555777941757ull + 3037000493ull;
  value.reserve(bytes);
  while (value.size() < bytes) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    for (int shift = 58; shift >= 22 && value.size() < bytes; shift -= 6)
      value += static_cast<char>(' ' + (state >> shift & 63));
  }
  value.resize(bytes);
  return value;
}

std::chrono::steady_clock::time_point made_at(std::string_view value) {
  std::int64_t count = 0;
  const auto digits = value.substr(0, 20);
  if (std::from_chars(digits.data(), digits.data() + digits.size(), count).ec != std::errc{}) return {};
  return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(count));
}

std::string range_end_of(std::string prefix) {
  ++prefix.back();
  return prefix;
}

namespace {

void add_compare(const std::string& key, std::int64_t revision, TxnRequest& request) {
  auto& compare = *request.add_compare();
  compare.set_target(Compare::MOD);
  compare.set_result(Compare::EQUAL);
  compare.set_key(key);
  compare.set_mod_revision(revision);
}

}  // namespace

void make_create(std::string key, std::string value, TxnRequest& request) {
  add_compare(key, 0, request);
  auto& put = *request.add_success()->mutable_request_put();
  put.set_key(std::move(key));
  put.set_value(std::move(value));
}

void make_update(std::string key, std::int64_t revision, std::string value, TxnRequest& request) {
  add_compare(key, revision, request);
  auto& put = *request.add_success()->mutable_request_put();
  put.set_key(key);
  put.set_value(std::move(value));
  request.add_failure()->mutable_request_range()->set_key(std::move(key));
}

void make_delete(std::string key, std::int64_t revision, TxnRequest& request) {
  add_compare(key, revision, request);
  request.add_success()->mutable_request_delete_range()->set_key(key);
  request.add_failure()->mutable_request_range()->set_key(std::move(key));
}

void make_get(std::string key, RangeRequest& request) {
  request.set_key(std::move(key));
  request.set_limit(1);
}

void make_page(std::string from, const std::string& prefix, std::int64_t limit, std::int64_t revision,
               RangeRequest& request) {
  request.set_key(std::move(from));
  request.set_range_end(range_end_of(prefix));
  request.set_limit(limit);
  request.set_revision(revision);
}

}  // namespace rusternetes::bench
