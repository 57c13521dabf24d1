"""What is said about a line that could not be read."""

from gongshu.base.decisions import Text
from gongshu.catalog.types import Fault

TEXTS: dict[Fault, Text] = {
    Fault.FIELD_COUNT: Text("字段数与表头不一致。", "The number of fields is not that of the header."),
    Fault.BROKEN_QUOTE: Text("引号使用有误。", "The quotes are broken."),
    Fault.UNCLOSED_QUOTE: Text(
        "引号没有闭合，或闭合位置有误。", "A quote is not closed, or closed in the wrong place."
    ),
    Fault.UNDECODABLE: Text("含有无法按文件编码读取的字节。", "It has bytes that are not text in the file's encoding."),
    Fault.NUL_BYTE: Text("含有空字节（NUL）。", "It has a NUL byte."),
    Fault.LONE_CARRIAGE_RETURN: Text("引号外有单独的回车符。", "It has a carriage return alone, outside quotes."),
    Fault.EMPTY_LINE: Text("空行。", "The line is empty."),
    Fault.LINE_TOO_LONG: Text("行过长，超过单条记录上限。", "The line is longer than a record may be."),
    Fault.FIELD_TOO_LONG: Text("有字段过长，超过单个字段上限。", "A field is longer than a field may be."),
}
