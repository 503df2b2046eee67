#include "storage/suite/suite.h"

#include <iostream>
#include <set>

#include "storage/suite/steps.h"

namespace rusternetes::storage::suite {
namespace {

class Invoker final : public Catch::ITestInvoker {
 public:
  Invoker(Subject subject, Case run) : subject_(std::move(subject)), run_(run) {}
  void invoke() const override {
    auto subject = subject_.open();
    REQUIRE(subject);
    Receiver::is_progress_told = subject->tells_progress;
    run_(*subject, subject->store());
  }

 private:
  Subject subject_;
  Case run_;
};

class Skip final : public Catch::ITestInvoker {
 public:
  explicit Skip(std::string why) : why_(std::move(why)) {}
  void invoke() const override { std::cout << "SKIPPED: " << why_ << std::endl; }

 private:
  std::string why_;
};

void add(const std::string& name, Catch::ITestInvoker* invoker, const Catch::SourceLineInfo& line) {
  const Catch::AutoReg registered(invoker, line, Catch::StringRef(), Catch::NameAndTags(name));
}

}  // namespace

Registration::Registration(const char* name, Case run, const Catch::SourceLineInfo& line) {
  static std::set<std::string> told;
  for (auto& subject : subjects()) {
    if (subject.missing.empty())
      add(subject.name + ": " + name, new Invoker(std::move(subject), run), line);
    else if (told.insert(subject.name).second)
      add(subject.name + ": it is there to be tested", new Skip(std::move(subject.missing)), line);
  }
}

}  // namespace rusternetes::storage::suite
