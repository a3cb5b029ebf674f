// SPDX-License-Identifier: Apache-2.0
#include "shared/svg/svg.hpp"

#include "shared/base/utf8.hpp"

namespace lapwing::svg {

std::string escaped(std::string_view text) {
  constexpr std::size_t kBytesMax = 120;
  std::string out;
  for (std::size_t at = 0; at < std::min(text.size(), kBytesMax);) {
    const std::size_t length = std::max<std::size_t>(1, utf8_length(text, at));
    const std::string_view one = text.substr(at, length);
    at += length;
    if (length > 1) {
      const bool character = one < "\xEF\xBF\xBE" || length == 4;  // two of UTF-8 are not XML's
      out += character ? one : "?";
      continue;
    }
    switch (one.front()) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        // Control characters and stray bytes are not XML: a picture must open whatever the name is.
        out += static_cast<unsigned char>(one.front()) < 0x20 ||
                       static_cast<unsigned char>(one.front()) > 0x7E
                   ? '?'
                   : one.front();
    }
  }
  return out;
}

void text_at(std::string& out, double x, double y, const char* anchor, std::string_view text) {
  print(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
  out += escaped(text);
  out += "</text>\n";
}

void begin(std::string& out, double height, std::string_view title, std::string_view legend,
           bool labelled) {
  print(out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
        "height=\"%.0f\" font-family=\"system-ui,sans-serif\" font-size=\"13\" fill=\"#1f2933\">\n",
        kPageWidth, height, kPageWidth, height);
  out +=
      "<style>.grid{stroke:#d9dee3;fill:none}"
      ".band{fill:#9ec9e8;fill-opacity:.55;stroke:none}"
      ".value{stroke:#1b5e8c;stroke-width:1.2;fill:none;stroke-linejoin:round}"
      ".score{stroke:#5b6b7a;fill:none}.over{stroke:#d03b3b;fill:none}"
      ".label{fill:#3f9b5f;stroke:none}"
      ".limit{stroke:#d03b3b;stroke-dasharray:4 3;fill:none}"
      ".frame{stroke:#7b8794;fill:none}</style>\n";
  print(out, "<rect width=\"%.0f\" height=\"%.0f\" fill=\"#ffffff\"/>\n", kPageWidth, height);
  out += "<g font-size=\"17\" font-weight=\"600\">";
  text_at(out, kLeft, 26, "start", title);
  out += "</g>";
  text_at(out, kLeft, 46, "start", legend);
  if (labelled) text_at(out, kLeft + kWidth, 46, "end", "labelled times below (green)");
}

void frame(std::string& out, const Box& box) {
  print(out, "<rect class=\"frame\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
        kLeft, box.top, kWidth, box.height);
}

}  // namespace lapwing::svg
