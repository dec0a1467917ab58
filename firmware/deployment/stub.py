import ulnn_boot  # noqa: D100  (`ulnn deploy` puts this in lib as ulnn, ulnn_stream, ulnn_rules)

ulnn_boot.enter(__name__, globals())
