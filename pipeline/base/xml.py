"""XML from outside, read whole."""

from xml.etree import ElementTree


class NoDoctype(ElementTree.TreeBuilder):
    """Refuses a document type, in which entities could be declared that grow without bound or name other files."""

    def doctype(self, *_: str | None) -> None:
        raise ValueError("it declares a document type, which no program for slides does")


def parse_xml(data: bytes) -> ElementTree.Element:
    """The root of a document.

    Raises:
        ParseError, ValueError, LookupError: it is no whole XML, declares a document type, or has an unknown charset.
    """
    return ElementTree.fromstring(data, ElementTree.XMLParser(target=NoDoctype()))
