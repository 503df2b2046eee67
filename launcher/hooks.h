#pragma once
// Points at which a test may end the process: before and after every write of the journal and every call that
// leaves it. The program itself installs nothing.

#include <string_view>

namespace rusternetes::launcher {

class Hooks {
 public:
  virtual ~Hooks() = default;
  // `name` is "before WHAT" or "after WHAT", for example "before journal applying link-node".
  virtual void point(std::string_view name) { (void)name; }
};

}  // namespace rusternetes::launcher
