#pragma once
// Status is the one error type of the project. It carries what a Kubernetes `Status` object carries
// (API conventions, "Response Status Kind"), so that a failure met deep in storage reaches kubectl unchanged.

#include <boost/system/result.hpp>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace rusternetes {

// One entry of `details.causes`; `field` is a JSON path such as `spec.containers[0].name`.
struct StatusCause {
  std::string reason;
  std::string message;
  std::string field;
};

struct StatusDetails {
  std::string name;
  std::string group;
  std::string kind;
  std::string uid;
  std::vector<StatusCause> causes;
  int retry_after_seconds = 0;
};

// `code` is the HTTP code; `reason` is the machine-readable word (`NotFound`, `Conflict`, ...), empty for a plain
// internal failure. Copying is cheap: details are shared and immutable.
struct [[nodiscard]] Status {
  Status() = default;
  Status(int code, std::string reason, std::string message, std::shared_ptr<const StatusDetails> details = {})
      : code(code), reason(std::move(reason)), message(std::move(message)), details(std::move(details)) {}

  int code = 500;
  std::string reason;
  std::string message;
  std::shared_ptr<const StatusDetails> details;

  bool is(std::string_view wanted_reason) const { return reason == wanted_reason; }
};

// An expected failure that has no better word: code 500, reason InternalError.
Status internal_error(std::string message);
// A failure of the environment described by errno; `what` names the thing, e.g. "open /a/b".
Status errno_error(std::string_view what, int error_number);

// What a call returns that can fail in an expected way.
template <class T = void>
using Result = boost::system::result<T, Status>;

// Asked for by boost::system::result::value() when there is none; a programmer error, so it is loud.
class BadResultAccess : public std::logic_error {
 public:
  explicit BadResultAccess(const Status& status) : std::logic_error("Result has no value: " + status.message) {}
};
[[noreturn]] inline void throw_exception_from_error(const Status& status, const boost::source_location&) {
  throw BadResultAccess(status);
}

}  // namespace rusternetes

// RN_TRY(auto x, call()) gives x the value or returns the Status; RN_CHECK(call()) is for Result<void>.
// The CO_ forms are for coroutines.
#define RN_CONCAT_(a, b) a##b
#define RN_CONCAT(a, b) RN_CONCAT_(a, b)
#define RN_TRY_(tmp, ret, decl, ...) \
  auto tmp = (__VA_ARGS__);          \
  if (!tmp) ret std::move(tmp).error(); \
  decl = *std::move(tmp)
#define RN_TRY(decl, ...) RN_TRY_(RN_CONCAT(rn_tmp_, __LINE__), return, decl, __VA_ARGS__)
#define RN_CO_TRY(decl, ...) RN_TRY_(RN_CONCAT(rn_tmp_, __LINE__), co_return, decl, __VA_ARGS__)
#define RN_CHECK(...)                                                                      \
  do {                                                                                     \
    if (auto rn_status = (__VA_ARGS__); !rn_status) return std::move(rn_status).error();    \
  } while (false)
#define RN_CO_CHECK(...)                                                                   \
  do {                                                                                     \
    if (auto rn_status = (__VA_ARGS__); !rn_status) co_return std::move(rn_status).error(); \
  } while (false)

// A programmer error ends the process, in every build. Never used on what a client sent.
#define RN_ASSERT(condition, message)                                                          \
  do {                                                                                         \
    if (!(condition)) [[unlikely]] ::rusternetes::assertion_failed(#condition, message, __FILE__, __LINE__); \
  } while (false)

namespace rusternetes {
[[noreturn]] void assertion_failed(const char* condition, const char* message, const char* file, int line);
}
