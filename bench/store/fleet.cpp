#include "store/fleet.h"

#include <fmt/format.h>
#include <grpcpp/client_context.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <optional>
#include <sstream>

#include "etcd/rpc.grpc.pb.h"

namespace rusternetes::bench {

using namespace etcdserverpb;

namespace {

using Steady = std::chrono::steady_clock;
constexpr auto most_patience = std::chrono::seconds(60);

// What all workers of a run share.
struct Shared {
  const Work& work;
  std::atomic<std::size_t> next;
  std::size_t end;
  std::atomic<bool> has_failed{false};
  std::mutex mutex;
  std::condition_variable wake;
  std::size_t running = 0;
  std::string failure;

  void fail(std::string why) {
    std::lock_guard lock(mutex);
    if (!has_failed.exchange(true)) failure = std::move(why);
  }
};

class Worker {
 public:
  Worker(Shared& shared, const std::shared_ptr<grpc::Channel>& channel) : shared_(shared), stub_(KV::NewStub(channel)) {}

  void next() {
    n_ = shared_.has_failed ? shared_.end : shared_.next.fetch_add(1);
    if (n_ >= shared_.end) {
      std::lock_guard lock(shared_.mutex);
      if (--shared_.running == 0) shared_.wake.notify_all();
      return;
    }
    operation_.clear();
    shared_.work.make(n_, operation_);
    context_.emplace();
    context_->set_deadline(std::chrono::system_clock::now() + most_patience);
    begin_ = Steady::now();
    auto done = [this](grpc::Status status) { answered(status); };
    if (operation_.is_range)
      stub_->async()->Range(&*context_, &operation_.range, &operation_.range_answer, std::move(done));
    else
      stub_->async()->Txn(&*context_, &operation_.txn, &operation_.txn_answer, std::move(done));
  }

  std::vector<float> latencies_ms;

 private:
  void answered(const grpc::Status& status) {
    latencies_ms.push_back(milliseconds_since(begin_));
    if (!status.ok()) {
      shared_.fail(fmt::format("request {}: {} ({})", n_, status.error_message(), static_cast<int>(status.error_code())));
    } else if (auto wrong = shared_.work.check(n_, operation_); !wrong.empty()) {
      shared_.fail(fmt::format("request {}: {}", n_, wrong));
    }
    next();
  }

  Shared& shared_;
  std::unique_ptr<KV::Stub> stub_;
  Operation operation_;
  std::optional<grpc::ClientContext> context_;
  std::size_t n_ = 0;
  Steady::time_point begin_;
};

Result<void> outcome(const grpc::Status& status) {
  if (status.ok()) return {};
  return internal_error(fmt::format("{} ({})", status.error_message(), static_cast<int>(status.error_code())));
}

// Deadline and channel of a call that this thread waits for.
struct Blocking {
  explicit Blocking(grpc::Channel& channel) : stub(std::shared_ptr<grpc::Channel>(&channel, [](grpc::Channel*) {})) {
    context.set_deadline(std::chrono::system_clock::now() + most_patience);
  }
  KV::Stub stub;
  grpc::ClientContext context;
};

}  // namespace

void Operation::clear() {
  is_range = false;
  txn.Clear();
  txn_answer.Clear();
  range.Clear();
  range_answer.Clear();
}

Result<FleetReport> run_fleet(const Channels& channels, std::size_t workers, std::size_t from, std::size_t count,
                              const Work& work, int server_pid) {
  Shared shared{work, from, from + count};
  std::vector<std::unique_ptr<Worker>> fleet;
  for (std::size_t i = 0; i < workers; ++i)
    fleet.push_back(std::make_unique<Worker>(shared, channels[i % channels.size()]));
  shared.running = workers;
  FleetReport report;
  const double cpu = own_cpu_seconds(), server_cpu = cpu_seconds_of(server_pid);
  const auto begin = Steady::now();
  for (auto& worker : fleet) worker->next();
  {
    std::unique_lock lock(shared.mutex);
    shared.wake.wait(lock, [&] { return shared.running == 0; });
  }
  report.seconds = std::chrono::duration<double>(Steady::now() - begin).count();
  report.client_cpu_seconds = own_cpu_seconds() - cpu;
  report.server_cpu_seconds = cpu_seconds_of(server_pid) - server_cpu;
  if (shared.has_failed) return internal_error(shared.failure);
  for (auto& worker : fleet)
    report.latencies_ms.insert(report.latencies_ms.end(), worker->latencies_ms.begin(), worker->latencies_ms.end());
  std::sort(report.latencies_ms.begin(), report.latencies_ms.end());
  return report;
}

Result<void> ask(grpc::Channel& channel, const RangeRequest& request, RangeResponse& answer) {
  Blocking call(channel);
  return outcome(call.stub.Range(&call.context, request, &answer));
}

Result<void> ask(grpc::Channel& channel, const TxnRequest& request, TxnResponse& answer) {
  Blocking call(channel);
  return outcome(call.stub.Txn(&call.context, request, &answer));
}

double percentile(const std::vector<float>& sorted, double percent) {
  if (sorted.empty()) return 0;
  const auto at = static_cast<std::size_t>(percent / 100 * static_cast<double>(sorted.size()));
  return sorted[std::min(at, sorted.size() - 1)];
}

double own_cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec); };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double cpu_seconds_of(int pid) {
  if (pid == 0) return 0;
  std::ifstream in(fmt::format("/proc/{}/stat", pid));
  std::string text((std::istreambuf_iterator<char>(in)), {});
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_end + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

float milliseconds_since(Steady::time_point begin) {
  return std::chrono::duration<float, std::milli>(Steady::now() - begin).count();
}

}  // namespace rusternetes::bench
