"""The pictures of the pages: functions that take results and return figures; one palette."""
