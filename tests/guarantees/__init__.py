"""The matrix of write paths: what is promised for each, and the tests that hold it.

A test names the path it holds with a marker::

    @pytest.mark.guarantee("save of a new row", "exact")

``python -m tests.guarantees > docs/guarantees.md`` writes the document from the markers; a test
compares the two. ``case`` narrows a marker to one case of a parametrised test, ``on`` to the one
database of which its outcome is true.
"""
