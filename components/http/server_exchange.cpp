#include "http/server_exchange.h"

#include <fmt/format.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include "base/log.h"
#include "http/http1_codec.h"

namespace rusternetes::http {
namespace {

// Kubernetes' own words, which clients show.
Status too_large(std::size_t limit) {
  return Status{413, "RequestEntityTooLarge", fmt::format("Request entity too large: limit is {}", limit)};
}

// What the handler threw, in words; empty for its cancellation.
std::string describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const boost::system::system_error& e) {
    return e.code() == asio::error::operation_aborted ? std::string() : e.what();
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "an unknown exception";
  }
}

}  // namespace

ServerExchange::ServerExchange(std::shared_ptr<ServerCore> core, asio::any_io_executor executor,
                               std::shared_ptr<const Peer> peer, RequestHead head)
    : core_(std::move(core)),
      executor_(std::move(executor)),
      peer_(std::move(peer)),
      head_(std::move(head)) {}

void ServerExchange::start() {
  is_running_ = true;
  std::exception_ptr failed;
  try {
    asio::co_spawn(
        executor_, core_->handler(shared_from_this()),
        asio::bind_cancellation_slot(
            cancel_.slot(), [self = shared_from_this()](std::exception_ptr error) { self->ended(error); }));
  } catch (...) {
    failed = std::current_exception();
  }
  // A handler that is no coroutine threw at once; the caller is not ready for an end within start().
  if (failed) asio::post(executor_, [self = shared_from_this(), failed] { self->ended(failed); });
}

void ServerExchange::cancel() {
  if (is_cancelled_) return;
  is_cancelled_ = true;
  // Posted: the caller may be a part of the handler.
  asio::post(executor_, [self = shared_from_this()] {
    if (self->is_running_) self->cancel_.emit(asio::cancellation_type::all);
  });
}

void ServerExchange::ended(std::exception_ptr error) {
  auto self = shared_from_this();
  is_running_ = false;
  std::string why = error ? describe(error) : std::string();
  if (!error && !has_begun_ && !is_cancelled_) why = "the handler ended without a response";
  if (!why.empty()) log::error(core_->name, "{} {}: {}", head_.method, head_.target, why);
  if (!has_begun_) {
    if (!is_cancelled_) send_error(500, "internal error\n");
  } else if (!is_finished_) {
    abort_response();
  }
  on_handler_ended();
}

Status body_too_slow() { return Status{504, "Timeout", "request did not complete within the allotted timeout"}; }

Task<Result<std::string>> ServerExchange::read_body(std::size_t limit) {
  auto self = shared_from_this();
  std::string all;
  if (const auto length = content_length()) {
    if (*length > limit) co_return too_large(limit);
    all.reserve(*length);
  }
  for (;;) {
    Result<std::string> piece = co_await read_some();
    if (!piece) co_return piece.error();
    if (piece->empty()) co_return all;
    if (all.size() + piece->size() > limit) co_return too_large(limit);
    if (all.empty() && piece->size() >= all.capacity())
      all = *std::move(piece);
    else
      all += *piece;
  }
}

void ServerExchange::add_date(ResponseHead& head) const {
  if (!head.headers.get("date")) head.headers.add("date", std::string(http_date()));
}

std::string_view fault_of(const RequestHead& head) {
  if (head.target.empty()) return "no target";
  if (head.target.front() == '/') return {};
  return head.target == "*" && head.method == "OPTIONS" ? std::string_view() : "the target is not a path";
}

Status client_gone() { return Status{503, "ConnectionLost", "the client is gone"}; }
Status already_begun() { return internal_error("the response has begun already"); }

}  // namespace rusternetes::http
