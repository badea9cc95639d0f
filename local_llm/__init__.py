# -*- coding: utf-8 -*-
"""A local language model: loaded, fine-tuned and asked, without AgentScope."""
