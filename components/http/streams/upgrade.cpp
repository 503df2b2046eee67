#include "http/streams/upgrade.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/log.h"
#include "http/header_text.h"

namespace rusternetes::http {
namespace {

constexpr const char* kVersion = "X-Stream-Protocol-Version";

struct Negotiated {
  std::string protocol;
  Status fault;
  Headers fields;  // of a refusal
};

Negotiated negotiate(const RequestHead& head, const std::vector<std::string>& known) {
  Negotiated out;
  const auto bad = [&](int code, std::string why) {
    out.fault =
        Status{code, code == 403 ? "Forbidden" : "BadRequest", "unable to upgrade: " + std::move(why)};
  };
  const auto values = head.headers.all(kVersion);
  const auto offered = comma_separated(head.headers, kVersion);
  if (values.empty()) {
    bad(400, fmt::format("header {} does not exist in request with {} headers", kVersion,
                         head.headers.fields().size()));
  } else if (offered.empty()) {
    bad(400,
        fmt::format("header {} contains [{}], but no valid protocols", kVersion, fmt::join(values, " ")));
  } else {
    const auto is_known = [&](const auto& name) {
      return std::find(known.begin(), known.end(), name) != known.end();
    };
    const auto first = std::find_if(offered.begin(), offered.end(), is_known);
    if (first != offered.end()) {
      out.protocol = *first;
    } else {
      for (const auto& name : known) out.fields.add("X-Accepted-Stream-Protocol-Versions", name);
      bad(403, fmt::format("unable to negotiate protocol: client supports [{}], server accepts [{}]",
                           fmt::join(offered, " "), fmt::join(known, " ")));
    }
  }
  if (!out.fault.message.empty()) return out;
  const auto upgrade = lower_case(head.headers.get("upgrade").value_or(""));
  if (!is_upgrade(head.headers) || upgrade.find("spdy/3.1") == std::string::npos)
    bad(400, "missing upgrade headers in request");
  return out;
}

}  // namespace

Task<Result<SpdyUpgrade>> accept_spdy(std::shared_ptr<Exchange> exchange, std::vector<std::string> known) {
  Negotiated negotiated = negotiate(exchange->head(), known);
  if (!negotiated.fault.message.empty()) {
    co_await refuse_upgrade(exchange, negotiated.fault, std::move(negotiated.fields));
    co_return negotiated.fault;
  }
  ResponseHead head{101, {}};
  head.headers.add(kVersion, negotiated.protocol);
  head.headers.add("connection", "Upgrade");
  head.headers.add("upgrade", "SPDY/3.1");
  auto stream = co_await exchange->upgrade(std::move(head));
  if (!stream) co_return std::move(stream).error();
  co_return SpdyUpgrade{std::move(negotiated.protocol), *std::move(stream)};
}

Task<> refuse_upgrade(std::shared_ptr<Exchange> exchange, Status status, Headers fields) {
  ResponseHead head{status.code, std::move(fields)};
  head.headers.add("content-type", "text/plain; charset=utf-8");
  std::vector<Slice> body;
  body.push_back(Slice::own(status.message + "\n"));
  auto sent = co_await exchange->respond(std::move(head), std::move(body));
  if (!sent) log::debug("http", "a refusal was not taken: {}", sent.error().message);
}

}  // namespace rusternetes::http
