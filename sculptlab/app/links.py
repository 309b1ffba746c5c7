"""A Sculptor with the settings that a link carries."""

from urllib.parse import parse_qsl, urlencode

from sculptlab.data.sources import BUNDLED
from sculptlab.live import Sculptor
from sculptlab.live.settings import PREFIX, Settings
from sculptlab.validation import choice

MOST = 300  # characters of an error that are shown


def linked_sculptor(query: str) -> Sculptor:
    """The Sculptor of a link that ends in "?prior=ring&noise=0.2", or in a whole settings string after "?".

    Settings that cannot be used are replaced by the default ones, and a message is printed.

    Examples
    --------
    >>> sculptor = linked_sculptor("prior=ring&noise=0.2")
    >>> sculptor.settings
    'sculptor?prior=ring&noise=0.2'
    >>> sculptor.close()
    """
    words = [(name, word) for name, word in parse_qsl(query.removeprefix(PREFIX), keep_blank_values=True) if name != "token"]
    try:
        settings = Settings.read(PREFIX + urlencode(words))
        choice("data", settings.data, BUNDLED)
        return Sculptor(settings=str(settings))
    except (ValueError, TypeError) as error:
        print(f"The settings in this link cannot be used: {str(error)[:MOST]}\nThe Sculptor has its default settings instead.")
        return Sculptor()
